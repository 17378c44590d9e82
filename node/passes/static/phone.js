/* What a phone does with its key: it signs that it holds the pass, anew for every showing. */
import { set } from "/static/vendor/idb-keyval/index.js";

const bytes = new TextEncoder();

export const storeOf = (member) => `pass:${member}`;

export const base64url = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const encode = (value) => base64url(bytes.encode(JSON.stringify(value)));
/* What browsers sign with: Ed25519, and P-256 where they have no Ed25519. */
const ED25519 = { name: "Ed25519" };
const P256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const signsWith = (key) => (key.algorithm.name === ED25519.name ? ED25519 : P256);

/* A key pair of which the private part cannot be taken out of this browser, and its public JWK.
 * Throws where the browser has neither kind.
 */
export async function newKeys() {
  const make = (kind) => crypto.subtle.generateKey(kind, false, ["sign", "verify"]);
  const pair = await make(ED25519).catch(() => make(P256));
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  return { privateKey: pair.privateKey, jwk: y ? { kty, crv, x, y } : { kty, crv, x } };
}

export const claimsOf = (token) =>
  JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));

/* How far this phone's clock is ahead of the home's, in seconds, from the time that a page says it
 * was made at. What is within reach of every door's tolerance is left as it is.
 */
const WORTH_S = 30;
export function clockOff(madeAt) {
  const { responseStart = performance.now() } = performance.getEntriesByType("navigation")[0] ?? {};
  const then = Date.now() / 1000 - (performance.now() - responseStart) / 1000;
  const off = Math.round(then - madeAt);
  return Math.abs(off) > WORTH_S ? off : 0;
}

/* Ask the browser to keep what it would throw away after a week without a visit; some ask the person,
 * some never do it.
 */
export const keepStored = () => navigator.storage?.persist?.().catch(() => false);

/* Make this browser the holder of a pass; `replaces` is one whose key is lost. Throws with the status
 * of an answer that is none, and NotSupportedError where the browser's cryptography is too old.
 */
export async function makePass({ csrf, replaces, member, about }) {
  const { privateKey, jwk } = await newKeys();
  const answer = await fetch("/api/v1/me/passes", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": csrf },
    body: JSON.stringify({ jwk, replaces: replaces || null }),
  });
  if (!answer.ok) throw Object.assign(new Error("not made"), { status: answer.status });
  const pass = { ...kept(await answer.json()), ...about, privateKey, usedAt: Date.now() };
  await set(storeOf(member), pass);
  keepStored();
  return pass;
}

export const kept = (issued) =>
  ({ id: issued.pass_id, credential: issued.credential, expiresAt: issued.expires_at });

/* The words for a pass that could not be made, by labels of the page. */
export function whyNotMade(error, labels) {
  if (error.name === "NotSupportedError" || !globalThis.crypto?.subtle) return labels.labelOld;
  return error.status === 409 ? labels.labelMany : labels.labelError;
}

/* <credential>~<key binding>, RFC 9901: the binding is over the credential and its tilde. The nonce is
 * random, or the code that a host shows.
 */
export async function fresh(pass, nonce = base64url(crypto.getRandomValues(new Uint8Array(12)))) {
  const shown = `${pass.credential}~`;
  const claims = {
    iat: Math.floor(Date.now() / 1000 - (pass.off ?? 0)),
    aud: "passerelle:check-in",
    nonce,
    sd_hash: base64url(await crypto.subtle.digest("SHA-256", bytes.encode(shown))),
  };
  const kind = signsWith(pass.privateKey);
  const alg = kind === ED25519 ? "EdDSA" : "ES256";
  const signed = `${encode({ alg, typ: "kb+jwt" })}.${encode(claims)}`;
  const signature = await crypto.subtle.sign(kind, pass.privateKey, bytes.encode(signed));
  return `${shown}${signed}.${base64url(signature)}`;
}

