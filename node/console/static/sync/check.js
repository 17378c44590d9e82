// While the hub is looking at the node, ask for its findings, and put them in place of the notice.
const TRIES = 20;
const WAIT_MS = 1500;

async function look(tries) {
  const section = document.querySelector('#check[data-pending]');
  if (!section || tries === 0) return;
  await new Promise((done) => setTimeout(done, WAIT_MS));
  try {
    const answer = await fetch('/console/sync', { credentials: 'same-origin' });
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const found = page.querySelector('#check');
    if (found && !found.hasAttribute('data-pending')) {
      section.replaceChildren(...found.childNodes);
      section.removeAttribute('data-pending');
      return;
    }
  } catch {
    // the node may be starting again: the link in the notice remains
  }
  look(tries - 1);
}

look(TRIES);
