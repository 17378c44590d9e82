/* On the pages that follow a log-out: what this browser kept of a desk is reduced to what it takes to
 * tell of the visits that wait.
 */
import { keys } from "/static/vendor/idb-keyval/index.js";

const names = await keys().catch(() => []);
if (names.some((name) => String(name).startsWith("desk"))) {
  const { forget } = await import("./desk_link.js");
  await forget();
}
