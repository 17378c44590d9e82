// The public RPDE validator on a hub's feeds; exits 1 where it finds a failure.
//   npm install --no-save @openactive/rpde-validator@3.0.3571
//   node deploy/rpde_validator.js https://hub.example.org
const { RpdeValidator } = require('@openactive/rpde-validator');

(async () => {
  if (!process.argv[2]) {
    console.error('whose feeds? node deploy/rpde_validator.js https://hub.example.org');
    process.exit(2);
  }
  const counts = {};
  for (const feed of ['spaces', 'availability', 'events']) {
    const log = await RpdeValidator(`${process.argv[2]}/feeds/${feed}`, { pageLimit: 1000 });
    console.log(`${feed}: ${log.pages.length} pages read`);
    for (const page of log.pages) {
      for (const error of page.errors) {
        counts[error.severity] = (counts[error.severity] || 0) + 1;
        console.log(`  ${error.severity} ${error.type} ${page.url}`);
      }
    }
  }
  console.log(`failures: ${counts.failure || 0}, warnings: ${counts.warning || 0}`);
  process.exit(counts.failure ? 1 : 0);
})();
