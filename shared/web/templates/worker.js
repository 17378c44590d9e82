/* Opens one page without its service. What the page needs is kept by version; nothing about a person
 * is kept here: that is in the page's own store.
 */
const VERSION = {{ (path ~ ":" ~ version) | tojson }};
const SHELL = {{ shell | tojson }};
const PAGE = {{ path | tojson }};
const KEPT = {{ kept | tojson }};
const PATIENCE_MS = 4000;

self.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(VERSION);
    const request = (url) => new Request(url, { cache: "reload", credentials: "omit" });
    await cache.addAll([SHELL, ...KEPT].map(request));
    await self.skipWaiting();
  })());
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (name.startsWith(`${PAGE}:`) && name !== VERSION) await caches.delete(name);
    await self.clients.claim();
  })());
});

/* What a proxy says in the place of our service is silence; our own pages of errors say their name. */
async function answer(request) {
  const found = await fetch(request);
  if (found.status < 500) return found;
  const gone = found.status >= 502 && found.status <= 504;
  if (gone || !(await found.clone().text()).includes("data-problem=")) throw new Error("away");
  return found;
}

async function page(request) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(reject, PATIENCE_MS); });
  try {
    return await Promise.race([answer(request), late]);
  } catch {
    return (await caches.match(SHELL)) ?? Response.error();
  } finally {
    clearTimeout(timer);
  }
}

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  if (request.mode === "navigate" && url.pathname === PAGE) event.respondWith(page(request));
  else if (KEPT.includes(url.pathname)) {
    event.respondWith(caches.match(url.pathname).then((found) => found ?? fetch(request)));
  }
});
