/* At a partner space: whether this phone is ready, and, by its poster, checking oneself in. */
import { get } from "/static/vendor/idb-keyval/index.js";
import { clockOff, fresh, makePass, storeOf, whyNotMade } from "./phone.js";

const CLOCK_S = 60;
const PATIENCE_MS = 10_000;

const box = document.getElementById("there");
const labels = box.dataset;
const button = document.getElementById("arrive");
const answer = document.getElementById("arrival");

const pass = await get(storeOf(labels.member)).catch(() => undefined);
const off = clockOff(Number(labels.now));

function judge() {
  if (!crypto.subtle) return ["no", labels.labelOld];
  if (!pass || !labels.valid.split(" ").includes(pass.id)) return ["no", labels.labelNone];
  if (new Date(pass.expiresAt) < Date.now()) return ["no", labels.labelExpired];
  if (Math.abs(off) > CLOCK_S) return ["warn", labels.labelClock.replace("{seconds}", Math.abs(off))];
  return ["yes", labels.labelReady];
}

const [state, words] = judge();
const line = document.getElementById("check-phone");
line.querySelector(".badge").className = `badge is-${state}`;
line.querySelector(".badge").textContent =
  { yes: labels.labelYes, warn: labels.labelCareful, no: labels.labelNo }[state];
line.querySelector(".check-words").textContent = words;

/* From here, the space itself is asked: an answer that cannot be read is an answer all the same. */
async function lookAtHost() {
  const host = document.querySelector('[data-part="host"]');
  if (!host?.querySelector(".badge.is-yes")) return;
  try {
    await fetch(`${labels.host}/healthz`, { mode: "no-cors", signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch {
    host.querySelector(".badge").className = "badge is-warn";
    host.querySelector(".badge").textContent = labels.labelCareful;
    host.lastElementChild.textContent = labels.labelSilent;
  }
}
lookAtHost();

function tell(yes, lines) {
  answer.className = `answer ${yes ? "is-yes" : "is-no"}`;
  const word = document.createElement("p");
  word.className = "answer-word";
  word.textContent = yes ? labels.labelYes : labels.labelNo;
  const body = document.createElement("div");
  body.className = "answer-body";
  for (const text of lines) {
    const part = document.createElement("p");
    part.className = "answer-welcome";
    part.textContent = text;
    body.append(part);
  }
  answer.replaceChildren(word, body);
  answer.hidden = false;
  answer.scrollIntoView({ block: "nearest" });
}

let busy = false;
async function arrive() {
  if (busy) return;
  busy = true;
  try {
    const response = await fetch(`${labels.host}/api/v1/arrivals`, {
      method: "POST",
      credentials: "omit",
      headers: { "Content-Type": "application/json", "Accept-Language": document.documentElement.lang },
      body: JSON.stringify({ space: labels.space, pass: await fresh({ ...pass, off }, labels.code) }),
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    const document_ = await response.json();
    if (response.ok) {
      const again = response.status === 200 ? [labels.labelAgain] : [];
      tell(true, [labels.labelWelcome, ...again, ...(document_.welcome ? [document_.welcome] : [])]);
      button.hidden = true;
      answer.focus({ preventScroll: true }); // where the button was, nothing is left to do
      return;
    }
    const reasons = document_.decision?.reasons?.map(({ message, article }) =>
      `${message} (${labels.labelArticle.replace("{number}", article)})`);
    tell(false, reasons ?? [document_.title ?? labels.labelAway]);
  } catch {
    tell(false, [labels.labelAway]);
  } finally {
    busy = false;
  }
}

if (button && state !== "no") {
  button.disabled = false;
  button.addEventListener("click", arrive);
}

/* A poster opens the browser, not the home screen's own: there may be no pass in it yet. */
const part = (name) => document.getElementById(`pass-${name}`);
async function make() {
  try {
    const about = { name: labels.name, home: labels.home, off };
    await makePass({ csrf: labels.csrf, replaces: part("replaces")?.value, member: labels.member, about });
    window.location.reload();
  } catch (error) {
    part("fault").textContent = whyNotMade(error, labels);
    part("fault").hidden = false;
  }
}
const has = pass && labels.valid.split(" ").includes(pass.id);
if (!has && crypto.subtle) {
  part("empty").hidden = false;
  if (part("lost")) part("lost").hidden = false;
  part("make").addEventListener("click", make);
}
