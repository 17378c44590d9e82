/* Searching without leaving the page. The page's own links and form do all of this without it:
 * here the same addresses are fetched, and what has changed is put in place.
 *
 * Texts come from data-text-* attributes of #finding: asking, no-location, offline.
 */
import { SpaceMap } from "./map.js";
import { element } from "./outline.js";

const QUIET = 30_000; // milliseconds between two looks at what is free
const MOST = 30; // cards that are asked for at once
const byId = (id) => document.getElementById(id);
const [root, form, box] = [byId("finding"), byId("find"), byId("map")];
let ahead = 0; // the hub's clock, less this machine's
const now = () => Date.now() + ahead;
const text = (name) => root.getAttribute(`data-text-${name}`) ?? "";
const list = () => byId("space-list");
const itemOf = (id) => list()?.querySelector(`[data-space="${CSS.escape(id)}"]`);
let map = null;
let searched = { q: byId("q")?.value ?? "", around: byId("around")?.value ?? "" };
const place = () => location.pathname + location.search;
let shown = place(); // a jump within the page is no search
let loading = null; // what is being fetched, to give it up for the next

function setClock(within) {
  ahead = Date.parse(within.querySelector("[data-now]").dataset.now) - Date.now();
}

async function fetchPage(url, signal) {
  const answer = await fetch(url, { signal, headers: { Accept: "text/html" } });
  if (!answer.ok && answer.status !== 422) throw new Error(`${url}: ${answer.status}`);
  const other = new DOMParser().parseFromString(await answer.text(), "text/html");
  setClock(other);
  return other;
}

function say(message) {
  const notice = byId("finding-notice");
  if (notice.textContent === message) return;
  notice.textContent = message;
  notice.hidden = !message;
}

/* How old what is said of free places is, and that nothing is known once it is too old. */
const ages = new Intl.RelativeTimeFormat(document.documentElement.lang, { style: "short" });

function tellAges(within = document) {
  for (const told of within.querySelectorAll("[data-as-of]")) {
    const seconds = Math.max(1, Math.round((now() - Date.parse(told.dataset.asOf)) / 1000));
    if (seconds >= Number(told.dataset.ttl)) {
      told.textContent = told.dataset.unknown;
      delete told.dataset.asOf;
      continue;
    }
    const time = told.querySelector("time");
    const age = seconds < 60 ? ages.format(-seconds, "second")
      : seconds < 3600 ? ages.format(-Math.floor(seconds / 60), "minute")
        : ages.format(-Math.floor(seconds / 3600), "hour");
    if (time && time.textContent !== age) time.textContent = age;
  }
}

/* Put the answer's form as it is there: what was typed is what was searched. */
function fillForm(other) {
  const from = other.getElementById("find");
  if (!form || !from) return;
  for (const name of ["find-choices", "find-faults"]) {
    byId(name)?.replaceChildren(...(other.getElementById(name)?.childNodes ?? []));
  }
  const more = "#more-filters > summary"; // with how many are in use
  form.querySelector(more).textContent = from.querySelector(more).textContent;
  for (const control of form.elements) {
    const same = control.id && from.querySelector(`#${CSS.escape(control.id)}`);
    if (!same) continue;
    if (control.type === "checkbox") control.checked = same.hasAttribute("checked");
    else control.value = same.value;
  }
  searched = { q: byId("q").value, around: byId("around").value };
}

function put(other) {
  const holder = other.getElementById("results");
  if (!holder) throw new Error("no results");
  fillForm(other);
  const count = other.getElementById("count").textContent;
  byId("count").textContent = count; // a live region: said aloud
  byId("results").replaceChildren(...holder.childNodes);
  document.title = other.title;
  Object.assign(box.dataset, other.getElementById("map").dataset);
  for (const link of document.querySelectorAll("a[hreflang]")) {
    const fresh = other.querySelector(`a[hreflang="${link.hreflang}"]`);
    if (fresh) link.setAttribute("href", fresh.getAttribute("href"));
  }
  tellAges();
}

const numbers = (written) => (written ? written.split(",").map(Number) : undefined);

async function showMap(keep) {
  const at = keep ? map.box.dataset.at : box.dataset.look;
  await map?.show(box.dataset.points, { box: numbers(box.dataset.box), at: numbers(at) });
}

/* Go to an address of this page: keep is true where the map stays where it is. */
async function go(url, { push = true, keep = false, focus = null } = {}) {
  loading?.abort();
  const asking = new AbortController();
  loading = asking;
  root.setAttribute("aria-busy", "true");
  byId("search-here")?.setAttribute("hidden", "");
  try {
    const other = await fetchPage(url, asking.signal);
    if (push) history.pushState(null, "", url);
    shown = place();
    put(other);
    focus?.focus({ preventScroll: true });
    say("");
    await showMap(keep);
  } catch (problem) {
    if (problem.name === "AbortError") return;
    console.warn(problem);
    say(text("offline"));
  } finally {
    if (loading === asking) root.removeAttribute("aria-busy");
  }
}

/* The form's address, without what asks for nothing. */
function address(changes = {}) {
  const url = new URL(form.action, location.href);
  const asked = new FormData(form);
  for (const [name, value] of Object.entries(changes)) {
    asked.delete(name);
    if (value) asked.set(name, value);
  }
  for (const [name, value] of asked) {
    const written = String(value).trim();
    if (written) url.searchParams.append(name, written);
  }
  const lang = new URL(location.href).searchParams.get("lang");
  if (lang) url.searchParams.set("lang", lang);
  return url.href;
}

async function more(link) {
  link.setAttribute("aria-busy", "true");
  try {
    const other = await fetchPage(link.href);
    const items = [...other.querySelectorAll("#space-list > li")];
    const known = new Set([...list().children].map((item) => item.dataset.space));
    const fresh = items.filter((item) => !known.has(item.dataset.space));
    list().append(...fresh);
    const next = other.getElementById("more");
    link.closest("#more").replaceChildren(...(next?.childNodes ?? []));
    fresh[0]?.querySelector("a")?.focus({ preventScroll: false });
    tellAges(list());
    say("");
  } catch (problem) {
    console.warn(problem);
    link.removeAttribute("aria-busy");
    say(text("offline"));
  }
}

function nearMe(button) {
  say(text("asking"));
  button.disabled = true;
  const done = () => { button.disabled = false; };
  navigator.geolocation.getCurrentPosition(({ coords }) => {
    done();
    const near = `${coords.latitude.toFixed(3)},${coords.longitude.toFixed(3)}`; // about 100 m
    go(address({ near, around: "", bbox: "" }));
  }, () => {
    done();
    say(text("no-location"));
    byId("around")?.focus();
  }, { timeout: 10_000, maximumAge: 300_000 });
}

/* Cards as the hub writes them now, by space. */
async function cards(ids) {
  const url = new URL("/cards", location.href);
  for (const id of ids) url.searchParams.append("space", id);
  const from = new URL(box.dataset.points, location.href).searchParams.get("near");
  if (from) url.searchParams.set("near", from);
  url.searchParams.set("lang", document.documentElement.lang);
  const other = await fetchPage(url);
  return new Map([...other.querySelectorAll("[data-space]")].map((item) => [item.dataset.space, item]));
}

/* On the screen, or about to be. */
const near = (item) => {
  const { top, bottom, height } = item.getBoundingClientRect();
  return height && bottom > -innerHeight && top < 2 * innerHeight;
};

/* Look again at what is on the screen; only words that differ are changed, nothing moves. */
async function lookAgain() {
  const seen = [...(list()?.children ?? [])].filter(near).slice(0, MOST);
  const fresh = seen.length ? await cards(seen.map((item) => item.dataset.space)) : new Map();
  for (const item of seen) {
    const found = fresh.get(item.dataset.space);
    if (!found) continue;
    const [old, live] = [item.querySelectorAll(".live"), found.querySelectorAll(".live")];
    old.forEach((part, n) => {
      if (live[n] && part.innerHTML !== live[n].innerHTML) part.replaceChildren(...live[n].childNodes);
    });
  }
  await map?.refresh();
  tellAges();
}

let looked = Date.now();
async function tick() {
  if (document.hidden || root.hasAttribute("aria-busy")) return;
  tellAges();
  if (Date.now() - looked < QUIET) return;
  looked = Date.now();
  try {
    await lookAgain();
    say("");
  } catch (problem) {
    console.warn(problem);
    say(text("offline"));
  }
}

function mark(ids) {
  list()?.querySelectorAll(".is-selected").forEach((card) => card.classList.remove("is-selected"));
  for (const id of ids) itemOf(id)?.querySelector(".space-card")?.classList.add("is-selected");
}

function isBesideMap(item) {
  const [one, other] = [item.parentElement.getBoundingClientRect(), box.getBoundingClientRect()];
  return one.left >= other.right || one.right <= other.left;
}

function opened(id) {
  list()?.querySelectorAll("[aria-current]").forEach((item) => item.removeAttribute("aria-current"));
  const item = itemOf(id);
  item?.setAttribute("aria-current", "true");
  // Below the map, scrolling to the item would take the map and its popup out of sight.
  if (item && isBesideMap(item)) item.scrollIntoView({ block: "nearest" });
}

async function card(id) {
  const found = itemOf(id) ?? (await cards([id])).get(id);
  const copy = found?.querySelector(".space-card").cloneNode(true);
  copy?.classList.remove("card", "is-selected");
  if (copy) tellAges(copy);
  return copy;
}

function failed(problem) {
  console.warn(problem);
  if (navigator.onLine && !box.querySelector(".leaflet-marker-icon")) {
    const message = element("p", "map-error", box.dataset.labelError);
    message.setAttribute("role", "alert");
    box.querySelector(".map-error")?.remove();
    box.append(message);
  } else say(text("offline"));
}

function moved(view) {
  const here = byId("search-here");
  if (!here || !form) return;
  here.dataset.bbox = view.map((edge) => +edge.toFixed(4)).join(",");
  here.hidden = false;
}

function listen() {
  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    const [q, around] = ["q", "around"].map((name) => byId(name).value.trim());
    // Below the filters nobody would see what was found.
    if (!matchMedia("(min-width: 60rem)").matches) byId("more-filters").open = false;
    const elsewhere = q !== searched.q || around !== searched.around;
    go(address({ ...(elsewhere ? { bbox: "" } : {}), ...(around ? { near: "" } : {}) }));
  });
  root.addEventListener("click", (event) => {
    const { target } = event;
    const link = target.closest("a");
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (target.closest("#near-me")) nearMe(target.closest("#near-me"));
    else if (target.closest("#search-here")) {
      const { bbox } = target.closest("#search-here").dataset;
      box.focus({ preventScroll: true }); // the button goes
      go(address({ bbox, near: "", around: "", radius_km: "" }), { keep: true });
    } else if (link?.closest("#more")) {
      event.preventDefault();
      more(link);
    } else if (link?.matches(".in-place")) {
      event.preventDefault();
      go(link.href, { focus: byId("count") }); // the link goes
    }
  });
  addEventListener("popstate", () => {
    if (place() !== shown) go(location.href, { push: false });
  });
  for (const [type, hide] of [["mouseover", 0], ["focusin", 0], ["mouseout", 1], ["focusout", 1]]) {
    root.addEventListener(type, (event) => {
      const item = event.target.closest?.("#space-list > li");
      if (item) map?.point(hide ? null : item.dataset.space);
    });
  }
  document.addEventListener("visibilitychange", tick);
  addEventListener("online", () => { looked = 0; tick(); });
  addEventListener("offline", () => say(text("offline")));
  setInterval(tick, 5000);
}

setClock(document);
listen();
tellAges();
const nearButton = byId("near-me");
if (nearButton && "geolocation" in navigator) nearButton.hidden = false;
try {
  map = new SpaceMap(box, { card, pointed: mark, opened, moved, failed });
  showMap(false).catch(failed);
} catch (problem) {
  failed(problem);
}
