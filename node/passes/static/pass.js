/* The phone's side of the pass. The private key is made by the browser, cannot be exported, and
 * stays in this browser's own store; every code shown is signed here, anew.
 */
import qrcode from "/static/vendor/qrcode-generator/qrcode.mjs";
import { del, get, set } from "/static/vendor/idb-keyval/index.js";

const RENEW_MS = 25_000;
const MODULE_PX = 4;
const QUIET_MODULES = 4;

const box = document.getElementById("pass");
const store = `pass:${box.dataset.member}`;
const bytes = new TextEncoder();
const part = (id) => document.getElementById(`pass-${id}`);

const base64url = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const encode = (value) => base64url(bytes.encode(JSON.stringify(value)));

function show(state, fault = "") {
  part("empty").hidden = state === "ready";
  part("ready").hidden = state !== "ready";
  part("fault").hidden = !fault;
  part("fault").textContent = fault;
}

/* <credential>~<key binding>, RFC 9901: the binding is over the credential and its tilde. */
async function fresh(pass) {
  const shown = `${pass.credential}~`;
  const claims = {
    iat: Math.floor(Date.now() / 1000),
    aud: "passerelle:check-in",
    nonce: base64url(crypto.getRandomValues(new Uint8Array(12))),
    sd_hash: base64url(await crypto.subtle.digest("SHA-256", bytes.encode(shown))),
  };
  const signed = `${encode({ alg: "EdDSA", typ: "kb+jwt" })}.${encode(claims)}`;
  const signature = await crypto.subtle.sign("Ed25519", pass.privateKey, bytes.encode(signed));
  return `${shown}${signed}.${base64url(signature)}`;
}

function draw(text) {
  const code = qrcode(0, "L");
  code.addData(text, "Byte");
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

let timer;
async function renew(pass) {
  clearTimeout(timer);
  const text = await fresh(pass);
  draw(text);
  part("text").value = text;
  const bar = part("renewal");
  bar.classList.remove("is-running");
  void bar.offsetWidth; // starts the bar's animation again
  bar.classList.add("is-running");
  timer = setTimeout(() => renew(pass), RENEW_MS);
}

function start(pass) {
  const day = new Date(pass.expiresAt).toLocaleDateString(box.dataset.lang, { dateStyle: "long" });
  part("until").textContent = `${box.dataset.labelUntil} ${day}`;
  show("ready");
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) renew(pass); // a phone taken out of a pocket shows a fresh code
  });
  return renew(pass);
}

async function make() {
  const button = part("make");
  button.disabled = true;
  try {
    const pair = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
    const { kty, crv, x } = await crypto.subtle.exportKey("jwk", pair.publicKey);
    const answer = await fetch("/api/v1/me/passes", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": box.dataset.csrf },
      body: JSON.stringify({ jwk: { kty, crv, x } }),
    });
    if (!answer.ok) {
      show("empty", answer.status === 409 ? box.dataset.labelMany : box.dataset.labelError);
      return;
    }
    const issued = await answer.json();
    const pass = {
      id: issued.pass_id,
      credential: issued.credential,
      expiresAt: issued.expires_at,
      privateKey: pair.privateKey,
    };
    await set(store, pass);
    await start(pass);
  } catch (error) {
    show("empty", error.name === "NotSupportedError" ? box.dataset.labelOld : box.dataset.labelError);
  } finally {
    button.disabled = false;
  }
}

part("make").addEventListener("click", make);
const kept = await get(store);
if (kept && box.dataset.valid.split(" ").includes(kept.id)) {
  await start(kept);
} else if (kept) {
  await del(store);
  show("empty", box.dataset.labelGone);
}
