/* What a shown code proves, by the browser's own cryptography: shared/crypto/passes.py, but for whatever
 * depends on what time it is.
 */
import { unpack } from "/static/px1.js";

const ED25519 = { name: "Ed25519", algorithms: ["EdDSA", "Ed25519"] };
const P256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256", algorithms: ["ES256"] };
const PLANS = ["resident", "nomad", "ticket"];
const MAX_BYTES = 4096;
const MAX_DAYS = 35;
const LAST = 2 ** 33;
const CARD = /^https?:\/\/\S+\/card\/[\w-]+$/;
// Any public keys: a browser that has the algorithm can read them.
const SAMPLES = {
  Ed25519: { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
  ECDSA: {
    kty: "EC", crv: "P-256", x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
  },
};

const bytes = new TextEncoder();
const fromBase64url = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const toBase64url = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const readPart = (text) => JSON.parse(new TextDecoder().decode(fromBase64url(text)));

class Faulty extends Error {
  constructor(code, detail) {
    super(code);
    this.fault = { code, detail };
  }
}
/* This browser lacks what it takes: that says nothing of the pass. */
export class CannotVerify extends Error {}

const has = (kind) =>
  crypto.subtle?.importKey("jwk", SAMPLES[kind.name], kind, false, ["verify"])
    .then(() => true, () => false) ?? false;

/* Whether this browser can check any pass at all. */
export const canVerify = () => has(ED25519);

async function verify(token, findKey, typ, detail) {
  const parts = token.split(".");
  if (parts.length !== 3) throw new Faulty("pass_malformed", `${detail}malformed`);
  const [header, claims] = parts.slice(0, 2).map(readPart);
  const { kty, crv, x, y } = findKey(header, claims);
  const kind = kty === "EC" ? P256 : ED25519;
  if (header.typ !== typ) throw new Faulty("pass_malformed", `${detail}type`);
  if (!kind.algorithms.includes(header.alg) || "crit" in header) {
    throw new Faulty("pass_malformed", `${detail}algorithm`);
  }
  if (!(await has(kind))) throw new CannotVerify(kind.name);
  const jwk = kind === P256 ? { kty, crv, x, y } : { kty: "OKP", crv: "Ed25519", x };
  const key = await crypto.subtle.importKey("jwk", jwk, kind, false, ["verify"]);
  const signed = bytes.encode(parts.slice(0, 2).join("."));
  const good = await crypto.subtle.verify(kind, key, fromBase64url(parts[2]), signed);
  if (!good) throw new Faulty("pass_malformed", `${detail}signature`);
  return { claims };
}

/* A key of a home, as the node last knew it: null where it was withdrawn. */
const keyOf = ({ homes }) => ({ kid }, { iss }) => {
  if (!homes[iss]) throw new Faulty("home_unknown", "issuer");
  const x = homes[iss].keys[kid];
  if (!x) throw new Faulty("home_unknown", x === null ? "withdrawn" : "key");
  return { x };
};

const isTime = (value) => Number.isInteger(value) && value >= 0 && value < LAST;
function checkClaims(claims) {
  const { iat, exp, nbf = 0, sub, plan, status, given_name: name = "" } = claims;
  const sound = claims.vct === "passerelle:pass" && PLANS.includes(plan)
    && [iat, exp, nbf].every(isTime) && exp > iat && exp - iat <= MAX_DAYS * 86_400
    && /^[\w-]{16,64}$/.test(sub) && typeof name === "string" && isTime(status.status_list.idx);
  if (!sound) throw new Faulty("pass_malformed", "claims");
}

/* Faults that leave it open whose pass this is have no `pass`. Throws CannotVerify. */
export async function examine(shown, bundle) {
  const given = shown.trim();
  if (CARD.test(given)) return { paper: true, text: given, faults: [] };
  let text = given;
  let pass;
  try {
    if (!globalThis.crypto?.subtle) throw new CannotVerify("no cryptography");
    text = await unpack(given);
    const parts = text.split("~");
    if (bytes.encode(text).length > MAX_BYTES) throw new Faulty("pass_malformed", "too_long");
    if (parts.length > 2) throw new Faulty("pass_malformed", "disclosures");
    const [credential, binding] = parts;
    const { claims } = await verify(credential, keyOf(bundle), "dc+sd-jwt", "");
    checkClaims(claims);
    pass = { ...claims, given_name: (claims.given_name ?? "").slice(0, 60) };
    if (!binding) throw new Faulty("pass_malformed", "key_binding_missing");
    const proof = await verify(binding, () => claims.cnf.jwk, "kb+jwt", "key_binding_");
    const { aud, nonce, iat, sd_hash: hash } = proof.claims;
    const wanted = await crypto.subtle.digest("SHA-256", bytes.encode(`${credential}~`));
    const faults = Object.entries({
      audience: aud === "passerelle:check-in", hash: hash === toBase64url(wanted),
      nonce: nonce && typeof nonce === "string", iat: typeof iat === "number",
    }).filter(([, sound]) => !sound).map(([name]) =>
      ({ code: "pass_malformed", detail: `key_binding_${name}` }));
    return { text, pass, shownAt: typeof iat === "number" ? iat : undefined, faults };
  } catch (error) {
    if (error instanceof CannotVerify) throw error;
    const fault = error instanceof Faulty ? error.fault : { code: "pass_malformed", detail: "" };
    return { text, pass, faults: [fault] };
  }
}
