/* The desk reads with its camera, answers without leaving the page, and says it aloud.
 * Without script, the same form answers page by page.
 */
import { useCamera } from "./camera.js";
import {
  decideAlone, keepsNothing, load, meet, remove, sendAgain, spacesKept, tick, untold,
} from "./desk_link.js";
import { meant } from "./keyboard.js";
import { canVerify } from "./verify.js";

const PATIENCE_MS = 6_000; // longer than the node waits for the hub
const SOON_MS = 1_500; // for one that was silent a moment ago
const READY_MS = 45_000; // then the answer is gone from the screen, with the name in it
const MEET_MS = 60_000;
const MEET_AGAIN_MS = 5_000;
const WATCH_MS = 4_000;
const TICK_MS = 10_000;
const FAR_S = 60; // so far off, a clock is worth a word

const byId = (id) => document.getElementById(id);
const form = byId("scan-form");
const input = byId("scan");
const state = byId("desk-queue");
const stuck = byId("desk-stuck");
const answers = byId("answer");
const language = document.documentElement.lang;
const kept = !form.elements.space.value; // the page that is kept for when the node is away

/* Two tabs may be two desks: each knows its space, by its address or by what it showed before. */
const space = form.elements.space.value || new URLSearchParams(window.location.search).get("space")
  || sessionStorage.getItem("desk-space") || localStorage.getItem("desk-space") || "";
if (space) {
  sessionStorage.setItem("desk-space", space);
  localStorage.setItem("desk-space", space);
}

/* Two notes up for yes, one low for no: heard without looking, told apart without colour. */
let sound;
function play(yes) {
  try {
    sound ??= new AudioContext();
    const notes = yes ? [660, 880] : [220, 220];
    notes.forEach((pitch, n) => {
      const tone = sound.createOscillator();
      const loudness = sound.createGain();
      const at = sound.currentTime + n * 0.18;
      tone.frequency.value = pitch;
      loudness.gain.setValueAtTime(0.2, at);
      loudness.gain.exponentialRampToValueAtTime(0.001, at + 0.16);
      tone.connect(loudness).connect(sound.destination);
      tone.start(at);
      tone.stop(at + 0.16);
    });
  } catch { /* no loudspeaker: the answer is there to be read */ }
}

/* Where the focus was on something that is gone, work goes on in the field. */
function keepFocus() {
  if (document.activeElement && document.activeElement !== document.body) return;
  input.focus({ preventScroll: true });
}

/* Everything that an answer changes comes from the page that answers. What is spoken stays in its
 * place, and so does whoever is in the middle of a row of it.
 */
const CHANGED = ["presence", "desk-state"];
const mark = (element) => {
  const row = element?.closest("[data-visit]")?.dataset.visit;
  return row && `[data-visit="${row}"] ${element.matches("summary") ? "summary"
    : element.closest("form") ? `form[action="${element.closest("form").getAttribute("action")}"] `
      + element.tagName.toLowerCase() : ""}`;
};
function take(page, ids = ["answer", ...CHANGED]) {
  for (const id of ids) {
    const [there, here] = [page.getElementById(id), byId(id)];
    if (!there || !here) continue;
    const focus = here.contains(document.activeElement) ? document.activeElement : null;
    const [place, open] = [mark(focus), [...here.querySelectorAll("details[open] summary")].map(mark)];
    here.replaceChildren(...there.childNodes);
    for (const each of open.filter(Boolean)) {
      const again = here.querySelector(each)?.closest("details");
      if (again) again.open = true;
    }
    if (focus) (place && here.querySelector(place) || input).focus({ preventScroll: true });
  }
}
const parse = (text) => new DOMParser().parseFromString(text, "text/html");

const say = (label, values) =>
  Object.entries(values).reduce((text, [name, value]) => text.replace(`{${name}}`, value), label);
const spell = (seconds, timeZone) =>
  new Date(seconds * 1000).toLocaleString(language === "en" ? "en-GB" : language, {
    dateStyle: "short", timeStyle: "short", timeZone,
  });

let readyAgain;
function answered() {
  answers.scrollIntoView({ block: "nearest" });
  clearTimeout(readyAgain);
  readyAgain = setTimeout(() => answer("answer-ready"), READY_MS);
}

function answer(id, fill = () => {}) {
  const said = byId(id).content.cloneNode(true);
  fill((selector) => said.querySelector(selector));
  answers.replaceChildren(said);
  if (id === "answer-ready") clearTimeout(readyAgain);
  else answered();
}

function sayYes(decided) {
  answer("answer-yes", (part) => {
    const who = part(".answer-who");
    const { label, labelOwn } = who.dataset;
    who.textContent = say(decided.own ? labelOwn : label, { name: decided.name, home: decided.home });
    const again = part(".answer-again");
    again.hidden = !decided.since;
    if (decided.since) again.textContent = say(again.dataset.label, { time: decided.since });
    part(".answer-alone").hidden = Boolean(decided.since); // kept, or told, when that was
    if (decided.welcome) part(".answer-welcome").textContent = decided.welcome;
    const until = part(".answer-until");
    until.hidden = !decided.until || decided.own;
    if (decided.until) until.textContent = say(until.dataset.label, { time: decided.until });
    const article = part(".article-tag");
    article.textContent = say(article.dataset.label, { number: decided.article });
  });
}

const SPENT = ["pass_stale", "pass_replayed", "pass_malformed"];
function sayNo({ decision, clock }) {
  answer("answer-no", (part) => {
    const list = part(".reasons");
    for (const { code, message, article } of decision.reasons) {
      const line = document.createElement("li");
      line.dataset.code = code;
      const tag = document.createElement("span");
      tag.className = "article-tag";
      tag.textContent = say(list.dataset.article, { number: article });
      line.append(message, " ", tag);
      list.append(line);
    }
    const doubt = decision.reasons.some(({ code }) => code === "pass_stale") && Math.abs(clock) > FAR_S;
    part(".answer-clock").hidden = !doubt;
    part(".answer-fresh").hidden = doubt || !decision.reasons.some(({ code }) => SPENT.includes(code));
  });
}

async function answerAlone(text) {
  const decided = await decideAlone(space, text);
  if (decided.kind === "yes") sayYes(decided);
  else if (decided.kind === "no") sayNo(decided);
  else answer(decided.kind === "cannot" ? "answer-cannot" : "answer-away");
  play(decided.kind === "yes");
  await show({ away: true });
  clearTimeout(next);
  next = setTimeout(keepMeeting, MEET_AGAIN_MS);
}

/* Ask the node: its answer, its own words where it has none, or nothing. Whatever stands in its place,
 * and a node that fails, are nothing; that the hub does not know this node is an answer.
 */
const MEANT = ["hub-unreachable", "node-unknown"];
async function ask(text, pin) {
  if (kept) return undefined;
  const sent = new FormData(form);
  sent.set("pass", text);
  sent.set("pin", pin);
  const signal = AbortSignal.timeout(met.away ? SOON_MS : PATIENCE_MS);
  const response = await fetch(form.action, { method: "POST", body: sent, signal });
  const page = parse(await response.text());
  const problem = page.querySelector("[data-problem]")?.dataset.problem;
  if (problem && (response.status < 500 || MEANT.includes(problem))) return { page, problem };
  if (response.status < 400 && page.getElementById("answer")) return { page };
  const login = response.redirected && new URL(response.url).pathname === "/login";
  return login && page.getElementById("password") ? { login } : undefined;
}

const RELOADED = ["unauthenticated", "forbidden", "form-expired"];
async function answerNode({ page, problem, login }) {
  if (login || RELOADED.includes(problem)) return window.location.reload(); // logged out, most likely
  if (problem) {
    answer("answer-problem", (part) => {
      part(".answer-who").textContent = page.querySelector("h1").textContent;
      part(".answer-next").textContent = page.querySelector("[data-problem] .lead")?.textContent ?? "";
    });
    return play(false);
  }
  take(page);
  answered();
  if (!pinField()) play(Boolean(answers.querySelector(".is-yes")));
}

/* Six digits are no code: they go where the home is asked for. */
function takeDigits(typed) {
  const digits = byId("digits");
  if (!digits || !/^\d{3} ?\d{3}$/.test(typed.trim())) return false;
  [digits.value, input.value] = [typed.trim(), ""];
  digits.closest("details").open = true;
  byId("digits-home").focus();
  return true;
}

let busy = false;
async function check(typed, pin = "") {
  if (busy || !typed.trim() || takeDigits(typed)) return;
  busy = true;
  input.value = "";
  form.setAttribute("aria-busy", "true");
  try {
    const { text, foreign } = await meant(typed);
    const said = foreign ? undefined : await ask(text, pin).catch(() => undefined);
    if (foreign) answer("answer-keyboard");
    else if (said) await answerNode(said);
    else await answerAlone(text);
  } catch { // this browser fails at what it should decide: nobody is let in by that
    answer("answer-away");
  } finally {
    busy = false;
    form.removeAttribute("aria-busy");
    (pinField() ?? input).focus({ preventScroll: true });
  }
}

/* A paper card is answered with the question for its PIN. */
const pinField = () => document.querySelector("#pin-form [name=pin]");
document.addEventListener("submit", (event) => {
  if (event.target.id !== "pin-form") return;
  event.preventDefault();
  const { pass, pin } = event.target.elements;
  check(pass.value, pin.value);
});

/* What else the page sends is not sent to a node that does not answer: a proxy's page would stand in
 * the desk's place.
 */
const sure = new WeakSet();
document.addEventListener("submit", async (event) => {
  const { target, submitter } = event;
  if (event.defaultPrevented || sure.delete(target)) return;
  event.preventDefault();
  const signal = AbortSignal.timeout(SOON_MS);
  const told = await fetch("/healthz", { cache: "no-store", signal })
    .then((response) => response.json()).catch(() => undefined);
  if (told?.status === "ok") {
    sure.add(target);
    target.requestSubmit(submitter);
  } else answer("answer-unsent");
});

/* What the node would not have, with its words, until a person has looked at it. */
function showStuck(entries) {
  const list = stuck.querySelector("ul");
  const shown = entries.map(({ id, why }) => `${id} ${why}`).join("\n");
  if (list.dataset.shown === shown) return;
  list.dataset.shown = shown;
  const focused = list.contains(document.activeElement);
  list.replaceChildren(...entries.map((entry) => {
    const item = byId("stuck-entry").content.cloneNode(true);
    const part = (selector) => item.querySelector(selector);
    part(".stuck-who").textContent = entry.name || stuck.dataset.labelNobody;
    part(".stuck-when").textContent = spell(entry.at, entry.zone);
    part(".stuck-why").textContent = entry.why || stuck.dataset.labelSilent;
    part(".stuck-again").addEventListener("click", () =>
      sendAgain(space, entry.id).then(() => meetNow()));
    part(".stuck-remove").addEventListener("click", () =>
      remove(space, entry.id).then(() => show(met)));
    return item;
  }));
  stuck.hidden = !entries.length;
  if (focused) input.focus({ preventScroll: true });
}

let met = {};
let able = true;
async function show(found) {
  met = found;
  const entries = await untold(space);
  const odd = entries.filter((entry) => entry.state === "stuck");
  const count = entries.length - odd.length;
  const { clock } = await load(space);
  const labels = state.dataset;
  const lines = [];
  if (met.away) lines.push(labels.labelAlone);
  if (count) lines.push(say(labels.labelWait, { count }));
  if (met.login && entries.length) lines.push(labels.labelLogin);
  if (!able) lines.push(labels.labelUnable);
  if (met.away && Math.abs(clock?.jump ?? 0) > FAR_S) lines.push(labels.labelClock);
  if (keepsNothing()) lines.push(labels.labelUnkept);
  const connected = byId("desk-state");
  if (connected) connected.hidden = Boolean(met.away);
  const text = lines.join(" ");
  if (state.textContent !== text) state.textContent = text;
  state.hidden = !text;
  showStuck(odd);
}

async function lookAtNode() {
  const found = await meet(space);
  await show(found);
  if (kept && !found.away) {
    return window.location.replace(space ? `/desk?space=${encodeURIComponent(space)}` : "/desk");
  }
  if (!found.told) return undefined;
  const response = await fetch(window.location.href, { signal: AbortSignal.timeout(PATIENCE_MS) });
  const page = parse(await response.text());
  return take(page, CHANGED);
}

/* Now and then, and soon again while the node is away; whatever fails, it goes on. */
let next;
async function keepMeeting() {
  clearTimeout(next);
  let soon = true;
  try {
    await lookAtNode();
    const waits = (await untold(space)).some((entry) => entry.state === "waiting");
    soon = met.away || (waits && !met.login);
  } catch { /* once more, soon */ } finally {
    clearTimeout(next);
    next = setTimeout(keepMeeting, soon ? MEET_AGAIN_MS : MEET_MS);
  }
}
const meetNow = () => keepMeeting();

/* Who comes in by the poster, or at another desk, appears by itself. */
const rows = () => [...document.querySelectorAll("#presence [data-visit]")];
async function watchPresence() {
  try {
    if (document.hidden || busy) return;
    const signal = () => AbortSignal.timeout(PATIENCE_MS);
    const where = encodeURIComponent(space);
    const response = await fetch(`/api/v1/presence?space=${where}`, { signal: signal() });
    if (!response.ok) return;
    const there = (await response.json()).items.map(({ id }) => id);
    const before = new Set(rows().map((row) => row.dataset.visit));
    if (there.length === before.size && there.every((id) => before.has(id))) return;
    const page = await fetch(`/desk?space=${where}`, { signal: signal() });
    take(parse(await page.text()), CHANGED);
    const came = rows().filter((row) => row.dataset.byPoster && !before.has(row.dataset.visit));
    for (const { dataset } of came) {
      const notice = document.createElement("p");
      notice.className = "notice is-yes";
      notice.textContent = say(byId("presence").dataset.labelCame, { name: dataset.byPoster });
      byId("flash").append(notice);
      setTimeout(() => notice.remove(), READY_MS);
    }
    if (came.length) play(true);
  } catch { /* the node is away: keepMeeting says so */ } finally {
    setTimeout(watchPresence, WATCH_MS);
  }
}
if (!kept) setTimeout(watchPresence, WATCH_MS);

form.addEventListener("submit", (event) => {
  event.preventDefault();
  check(input.value);
});

/* A reader types wherever the focus is: where it is nowhere, what it types goes into the field. */
document.addEventListener("keydown", (event) => {
  const typed = event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey;
  if (typed) keepFocus();
});
useCamera({ check, isBusy: () => busy, lost: keepFocus });

/* A tablet at the door: nothing but the desk, also after a reload; the button undoes it. The screen
 * stays lit whether or not the browser can fill it.
 */
const kiosk = byId("kiosk");
const isKiosk = () => document.body.classList.contains("is-kiosk");
let lit;
async function stayLit() {
  try {
    if (!isKiosk()) await lit?.release();
    else if (!document.hidden) lit = await navigator.wakeLock?.request("screen");
  } catch { /* the battery is low, or the page is hidden */ }
}
function setKiosk(on) {
  document.body.classList.toggle("is-kiosk", on);
  kiosk.textContent = on ? kiosk.dataset.labelOn : kiosk.dataset.labelOff;
  localStorage.setItem("desk-kiosk", on ? "on" : "");
  stayLit();
}
kiosk.hidden = false;
kiosk.addEventListener("click", async () => {
  setKiosk(!isKiosk());
  try {
    await (isKiosk() ? document.documentElement.requestFullscreen() : document.exitFullscreen());
  } catch { /* the browser keeps its own frame: the page is a kiosk all the same */ }
});
setKiosk(localStorage.getItem("desk-kiosk") === "on");
document.addEventListener("visibilitychange", stayLit);

/* The page that is kept says whose desk it is, and leads to the others of this browser. */
async function nameKept() {
  const known = await spacesKept();
  const here = known.find(({ id }) => id === space);
  if (here) document.querySelector("h1").textContent = here.name;
  const others = known.length > 1 ? known : [];
  byId("desk-others").replaceChildren(...others.map(({ id, name }) => {
    const [item, link] = [document.createElement("li"), document.createElement("a")];
    link.href = `/desk?space=${encodeURIComponent(id)}`;
    link.textContent = name;
    if (id === space) link.setAttribute("aria-current", "page");
    item.append(link);
    return item;
  }));
  byId("desk-others").parentElement.hidden = !others.length;
}
if (kept) nameKept();

able = await canVerify();
keepMeeting();
setInterval(() => space && tick(space).catch(() => undefined), TICK_MS);
navigator.storage?.persist?.().catch(() => undefined); // who was let in is not to be thrown away
navigator.serviceWorker?.register(`/desk/worker.js?lang=${language}`, { scope: "/desk" });
