/* The phone's side of the pass. The private key is made by the browser, cannot be exported, and
 * stays in this browser's own store; every code shown is signed here, anew.
 *
 * The same page opens without a network, from its worker: then nobody is known but whoever's pass
 * was last shown on this phone.
 */
import qrcode from "/static/vendor/qrcode-generator/qrcode.mjs";
import { del, entries, get, set } from "/static/vendor/idb-keyval/index.js";
import { pack } from "/static/px1.js";
import {
  claimsOf, clockOff, fresh, keepStored, kept, makePass, newKeys, storeOf, whyNotMade,
} from "./phone.js";

const RENEW_MS = 25_000;
const DAY_MS = 24 * 3600 * 1000;
const EXTEND_MS = 15 * DAY_MS; // half of a credential's time
const EXTEND_AGAIN_MS = EXTEND_MS / 3;
const COME_BACK_MS = 5_000;
const MODULE_PX = 4;
const QUIET_MODULES = 4;

const box = document.getElementById("pass");
const labels = box.dataset;
const online = Boolean(labels.member); // the home's own page, not the one kept for later
const store = storeOf(labels.member);
const part = (id) => document.getElementById(`pass-${id}`);

const say = (label, values) =>
  Object.entries(values).reduce((text, [name, value]) => text.replace(`{${name}}`, value), label);
const spell = (instant, style) => new Date(instant).toLocaleString(labels.lang, style);
const day = (instant) => spell(instant, { dateStyle: "long" });
const moment = (instant) => spell(instant, { dateStyle: "short", timeStyle: "short" });

function show(state, fault = "") {
  part("empty").hidden = state === "ready";
  part("ready").hidden = state !== "ready";
  part("fault").hidden = !fault;
  part("fault").textContent = fault;
}

function draw(text) {
  const code = qrcode(0, "L");
  code.addData(text, text.startsWith("PX1:") ? "Alphanumeric" : "Byte");
  code.make();
  const count = code.getModuleCount();
  const canvas = part("qr");
  canvas.width = canvas.height = (count + 2 * QUIET_MODULES) * MODULE_PX;
  const paint = canvas.getContext("2d");
  paint.fillStyle = "#fff";
  paint.fillRect(0, 0, canvas.width, canvas.height);
  paint.fillStyle = "#000";
  for (let row = 0; row < count; row += 1) {
    for (let column = 0; column < count; column += 1) {
      if (code.isDark(row, column)) {
        const x = (column + QUIET_MODULES) * MODULE_PX;
        paint.fillRect(x, (row + QUIET_MODULES) * MODULE_PX, MODULE_PX, MODULE_PX);
      }
    }
  }
}

/* For a desk without a camera: the home keeps what the phone signs under six digits. */
async function showDigits(pass) {
  const [code, hint] = ["code", "hint"].map((name) => document.getElementById(`digits-${name}`));
  try {
    const space = document.getElementById("digits-space").value;
    const binding = (await fresh(pass)).split("~")[1];
    const answer = await fetch("/api/v1/me/codes", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": labels.csrf },
      body: JSON.stringify({ space, binding }),
    });
    if (!answer.ok) throw new Error(String(answer.status));
    const made = await answer.json();
    code.textContent = `${made.code.slice(0, 3)} ${made.code.slice(3)}`;
    const time = spell(made.expires_at, { timeStyle: "medium" });
    hint.textContent = say(hint.dataset.labelGood, { time });
  } catch {
    code.textContent = "";
    hint.textContent = hint.dataset.labelError;
  }
}

let timer;
async function renew(pass) {
  clearTimeout(timer);
  const text = await pack(await fresh(pass));
  draw(text);
  part("text").value = text;
  const bar = part("renewal");
  bar.classList.remove("is-running");
  void bar.offsetWidth; // starts the bar's animation again
  bar.classList.add("is-running");
  timer = setTimeout(() => renew(pass), RENEW_MS);
}

/* A screen that goes dark in the queue is of no use; browsers that cannot keep it lit let it be. */
async function stayLit() {
  try {
    await navigator.wakeLock?.request("screen");
  } catch { /* the battery is low, or the page is hidden */ }
}

function start(pass) {
  part("until").textContent = say(labels.labelUntil, { day: day(pass.expiresAt) });
  if (pass.left) {
    const seen = { count: pass.left, moment: moment(pass.asked) };
    part("left").textContent = say(labels.labelLeft, seen);
  }
  show("ready");
  document.getElementById("digits-make")?.addEventListener("click", () => showDigits(pass));
  stayLit();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    stayLit();
    renew(pass); // a phone taken out of a pocket shows a fresh code
  });
  return renew(pass);
}

const ask = (method, path, body) =>
  fetch(`/api/v1/me/passes${path}`, {
    method,
    headers: { "Content-Type": "application/json", "X-CSRFToken": labels.csrf },
    body: body && JSON.stringify(body),
  });

let making = false;
async function make() {
  if (making) return;
  making = true;
  try {
    const replaces = part("replaces")?.value;
    const made = await makePass({ csrf: labels.csrf, replaces, member: labels.member });
    await start(await note(made));
    part("name").focus();
    // What was replaced is no longer among the devices.
    for (const row of document.querySelectorAll("[data-pass]")) {
      row.hidden ||= Boolean(replaces) && row.dataset.pass === replaces;
    }
  } catch (error) {
    show("empty", whyNotMade(error, labels));
  } finally {
    making = false;
  }
}

/* Keep with the pass what the page says, to say it again without a network. */
async function note(pass) {
  const rights = [...document.querySelectorAll(".right[data-space]")].map((right) => ({
    yes: right.classList.contains("is-yes"),
    lines: [...right.children].filter((line) => !line.querySelector('a[href^="/pass/"]')).map((line) => line.textContent.replace(/\s+/g, " ").trim()),
  }));
  const told = rights.length ? { rights, left: labels.left, asked: labels.asked } : {};
  const known = {
    ...pass, ...told, name: part("name").textContent, home: part("home").textContent,
    usedAt: Date.now(), off: clockOff(Number(labels.now)),
  };
  await set(store, known);
  return known;
}

/* A credential that has run for half its time is replaced, for the same key; the old one is ended
 * only when the new one is kept. */
async function extend(pass) {
  const left = new Date(pass.expiresAt) - Date.now();
  const recent = Date.now() - (pass.extendedAt ?? 0) < EXTEND_AGAIN_MS;
  // Of a subscription that ends, none runs longer: not at each opening, but for the last day.
  if (left > EXTEND_MS || (recent && left > DAY_MS)) return pass;
  try {
    const answer = await ask("POST", "", { jwk: claimsOf(pass.credential).cnf.jwk });
    if (!answer.ok) return pass;
    const longer = await note({ ...pass, ...kept(await answer.json()), extendedAt: Date.now() });
    await ask("DELETE", `/${pass.id}`);
    return longer;
  } catch {
    return pass;
  }
}

function showRights(pass) {
  const list = document.getElementById("rights-list");
  for (const { yes, lines } of pass.rights ?? []) {
    const item = document.createElement("li");
    item.className = `right ${yes ? "is-yes" : "is-no"}`;
    lines.forEach((text, n) => {
      const line = document.createElement(n === 1 ? "h3" : "p");
      line.className = n ? "" : "right-word";
      line.textContent = text;
      item.append(line);
    });
    list.append(item);
  }
  const asked = document.getElementById("rights-asked");
  asked.textContent = say(asked.dataset.label, { moment: moment(pass.asked) });
  document.getElementById("rights-kept").hidden = !list.children.length;
}

/* Said before the tap: what a browser cannot do. */
const canMake = () => newKeys().then(() => true, () => false);

async function openOnline() {
  part("make").addEventListener("click", make);
  part("make").disabled = false;
  const pass = await get(store).catch(() => undefined);
  if (pass && labels.valid.split(" ").includes(pass.id)) {
    await start(await extend(await note(pass)));
    keepStored();
  } else if (pass) {
    await del(store);
    show("empty", labels.labelGone);
  } else if (part("lost")) {
    part("lost").hidden = false;
  }
  if (part("ready").hidden && !(await canMake())) show("empty", labels.labelOld);
}

async function comeBack() {
  const answer = await fetch("/healthz", { cache: "no-store" }).catch(() => undefined);
  if (answer?.ok && !document.hidden) window.location.reload();
}

async function openAlone() {
  const passes = (await entries()).filter(([name]) => String(name).startsWith("pass:"));
  const pass = passes.map(([, each]) => each).sort((a, b) => b.usedAt - a.usedAt)[0];
  if (!pass) return show("empty", labels.labelNone);
  part("name").textContent = pass.name;
  part("home").textContent = pass.home;
  if (new Date(pass.expiresAt) < Date.now()) return show("empty", labels.labelExpired);
  showRights(pass);
  setInterval(comeBack, COME_BACK_MS);
  window.addEventListener("online", comeBack);
  return start(pass);
}

await (online ? openOnline() : openAlone());
navigator.serviceWorker?.register(`/pass/worker.js?lang=${labels.lang}`, { scope: "/pass" });
