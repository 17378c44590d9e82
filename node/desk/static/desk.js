/* The desk reads with its camera, answers without leaving the page, and says it aloud.
 * Without script, the same form answers page by page.
 */
import { decideAlone, meet, refused, waiting } from "./alone.js";

const RECENT_MS = 15_000; // the code that was just answered is not asked about again
const CLOSER_MS = 5_000;
const LOOK_MS = 80;
const PATIENCE_MS = 6_000; // longer than the node waits for the hub
const READY_MS = 45_000; // then the answer is gone from the screen, with the name in it
const MEET_MS = 60_000;
const MEET_AGAIN_MS = 5_000;
const WATCH_MS = 4_000;

const form = document.getElementById("scan-form");
const input = document.getElementById("scan");
const camera = document.getElementById("camera");
const video = document.getElementById("camera-picture");
const hint = document.getElementById("camera-hint");
const openCamera = document.getElementById("camera-open");
const labels = camera.dataset;
const state = document.getElementById("desk-queue");
const kept = !form.elements.space.value; // the page that is kept for when the node is away

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

/* Everything that an answer changes comes from the page that answers. */
const CHANGED = ["presence", "desk-state"];
function take(page, ids = ["answer", ...CHANGED]) {
  for (const id of ids) {
    const there = page.getElementById(id);
    if (there) document.getElementById(id).replaceWith(there);
  }
}

const say = (label, values) =>
  Object.entries(values).reduce((text, [name, value]) => text.replace(`{${name}}`, value), label);
const clock = (seconds) =>
  new Date(seconds * 1000).toLocaleTimeString(document.documentElement.lang, { timeStyle: "short" });

let readyAgain;
function answered() {
  document.getElementById("answer").scrollIntoView({ block: "nearest" });
  clearTimeout(readyAgain);
  readyAgain = setTimeout(() => answer("answer-ready"), READY_MS);
}

function answer(id, fill = () => {}) {
  const said = document.getElementById(id).content.cloneNode(true);
  fill((selector) => said.querySelector(selector));
  document.getElementById("answer").replaceChildren(said);
  if (id === "answer-ready") clearTimeout(readyAgain);
  else answered();
}

async function answerAlone(text) {
  const decided = await decideAlone(text);
  if (!decided) answer("answer-away");
  else if (decided.allowed) {
    answer("answer-yes", (part) => {
      const who = part(".answer-who");
      who.textContent = say(who.dataset.label, { name: decided.name, home: decided.home });
      const again = part(".answer-again");
      again.hidden = !decided.since;
      if (decided.since) again.textContent = say(again.dataset.label, { time: decided.since });
      if (decided.welcome) part(".answer-welcome").textContent = decided.welcome;
      const until = part(".answer-until");
      until.hidden = !decided.until;
      if (decided.until) until.textContent = say(until.dataset.label, { time: decided.until });
    });
  } else {
    answer("answer-no", (part) => {
      const list = part(".reasons");
      for (const { code, message, article } of decided.reasons) {
        const line = document.createElement("li");
        line.dataset.code = code;
        const tag = document.createElement("span");
        tag.className = "article-tag";
        tag.textContent = say(list.dataset.article, { number: article });
        line.append(message, " ", tag);
        list.append(line);
      }
    });
  }
  play(Boolean(decided?.allowed));
  show({ away: true });
}

/* Ask the node; whatever stands in its place, or nothing, is no answer. */
async function ask(text, pin) {
  if (kept) throw new Error("away");
  const sent = new FormData(form);
  sent.set("pass", text);
  sent.set("pin", pin);
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const response = await fetch(form.action, { method: "POST", body: sent, signal });
  if (response.status >= 500) throw new Error("away");
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

let busy = false;
async function check(text, pin = "") {
  if (busy || !text.trim()) return;
  busy = true;
  input.value = "";
  form.setAttribute("aria-busy", "true");
  try {
    const page = await ask(text, pin).catch(() => undefined);
    if (!page) await answerAlone(text);
    else if (!page.getElementById("answer")) window.location.reload(); // logged out, most likely
    else {
      take(page);
      answered();
      if (!pinField()) play(Boolean(document.querySelector("#answer .is-yes")));
    }
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

async function show({ away, login }) {
  const [count, odd] = [await waiting(), await refused()];
  const lines = [];
  if (away) lines.push(state.dataset.labelAlone);
  if (count) lines.push(say(state.dataset.labelWait, { count }));
  if (login && count) lines.push(state.dataset.labelLogin);
  if (odd.length) {
    const list = odd.map(({ name, at, why }) => `${name} ${clock(at)}: ${why}`).join("; ");
    lines.push(say(state.dataset.labelRefused, { list }));
  }
  const connected = document.getElementById("desk-state");
  if (connected) connected.hidden = Boolean(away);
  state.hidden = !lines.length;
  state.textContent = lines.join(" ");
}

/* Now and then, and soon again while the node is away. */
async function keepMeeting() {
  const met = await meet(form.elements.space.value);
  await show(met);
  if (kept && !met.away) return window.location.replace("/desk");
  if (met.told) {
    const response = await fetch(window.location.href);
    take(new DOMParser().parseFromString(await response.text(), "text/html"));
  }
  setTimeout(keepMeeting, met.away || (await waiting()) ? MEET_AGAIN_MS : MEET_MS);
}

/* Who comes in by the poster, or at another desk, appears by itself. */
const rows = () => [...document.querySelectorAll("#presence [data-visit]")];
async function watchPresence() {
  try {
    if (document.hidden || busy) return;
    const space = form.elements.space.value;
    const response = await fetch(`/api/v1/presence?space=${encodeURIComponent(space)}`);
    if (!response.ok) return;
    const there = (await response.json()).items.map(({ id }) => id);
    const before = new Set(rows().map((row) => row.dataset.visit));
    if (there.length === before.size && there.every((id) => before.has(id))) return;
    const page = await fetch(`/desk?space=${encodeURIComponent(space)}`);
    take(new DOMParser().parseFromString(await page.text(), "text/html"), CHANGED);
    const came = rows().filter((row) => row.dataset.byPoster && !before.has(row.dataset.visit));
    for (const { dataset } of came) {
      const notice = document.createElement("p");
      notice.className = "notice is-yes";
      const label = document.getElementById("presence").dataset.labelCame;
      notice.textContent = say(label, { name: dataset.byPoster });
      document.getElementById("flash").append(notice);
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

/* The browser's own reader where there is one, else the one that is kept with the page. */
async function makeReader() {
  const formats = (await window.BarcodeDetector?.getSupportedFormats?.().catch(() => [])) ?? [];
  if (formats.includes("qr_code")) {
    const detector = new BarcodeDetector({ formats: ["qr_code"] });
    return async () => (await detector.detect(video))[0]?.rawValue;
  }
  const { prepareZXingModule, readBarcodes } = await import(labels.reader);
  await prepareZXingModule({
    overrides: { locateFile: () => labels.readerWasm },
    fireImmediately: true,
  });
  const canvas = new OffscreenCanvas(1, 1);
  const paint = canvas.getContext("2d", { willReadFrequently: true });
  return async () => {
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    paint.drawImage(video, 0, 0);
    const picture = paint.getImageData(0, 0, canvas.width, canvas.height);
    const found = await readBarcodes(picture, { formats: ["QRCode"], maxNumberOfSymbols: 1 });
    return found[0]?.isValid ? found[0].text : undefined;
  };
}

let stream;
let last = { text: "", at: 0 };
async function look(read) {
  let seenAt = Date.now();
  while (stream) {
    await new Promise((next) => setTimeout(next, LOOK_MS));
    if (!stream || busy || document.hidden || !video.videoWidth) continue;
    const text = await read();
    const now = Date.now();
    if (text) {
      seenAt = now;
      if (text !== last.text || now - last.at > RECENT_MS) {
        last = { text, at: now };
        await check(text);
        last.at = Date.now();
      }
    }
    hint.textContent = now - seenAt > CLOSER_MS ? labels.labelCloser : labels.labelReady;
  }
}

function close() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = undefined;
  camera.hidden = true;
  openCamera.hidden = false;
  localStorage.removeItem("desk-camera");
}

async function open() {
  openCamera.hidden = true;
  camera.hidden = false;
  hint.textContent = labels.labelOpening;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } },
    });
    video.srcObject = stream;
    await video.play();
    const read = await makeReader();
    localStorage.setItem("desk-camera", "open"); // a reload, or a power cut, opens it again
    look(read);
  } catch (error) {
    close();
    camera.hidden = false;
    hint.textContent = error.name === "NotAllowedError" ? labels.labelRefused : labels.labelNone;
  }
}

openCamera.addEventListener("click", open);
document.getElementById("camera-close").addEventListener("click", close);
if (navigator.mediaDevices?.getUserMedia) {
  openCamera.hidden = false;
  if (localStorage.getItem("desk-camera") === "open") open();
}

/* A tablet at the door: nothing but the desk, also after a reload; the button undoes it. */
const kiosk = document.getElementById("kiosk");
function setKiosk(on) {
  document.body.classList.toggle("is-kiosk", on);
  kiosk.textContent = on ? kiosk.dataset.labelOn : kiosk.dataset.labelOff;
  localStorage.setItem("desk-kiosk", on ? "on" : "");
}
kiosk.hidden = false;
kiosk.addEventListener("click", async () => {
  const on = !document.body.classList.contains("is-kiosk");
  setKiosk(on);
  try {
    await (on ? document.documentElement.requestFullscreen() : document.exitFullscreen());
    if (on) await navigator.wakeLock?.request("screen");
  } catch { /* the browser keeps its own frame: the page is a kiosk all the same */ }
});
setKiosk(localStorage.getItem("desk-kiosk") === "on");

keepMeeting();
const language = document.documentElement.lang;
navigator.serviceWorker?.register(`/desk/worker.js?lang=${language}`, { scope: "/desk" });
