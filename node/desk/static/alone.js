/* The desk without its node: this browser verifies the pass itself, with the keys and status lists
 * that the node last gave it, looks up what the node decided for that home and plan, keeps whom it
 * let in, and tells the node when it is back.
 */
import { unpack } from "/static/px1.js";
import { get, set, update } from "/static/vendor/idb-keyval/index.js";

const KIT = "desk:kit";
const QUEUE = "desk:queue";
const REFUSED = "desk:refused";
const ED25519 = { name: "Ed25519", algorithms: ["EdDSA", "Ed25519"] };
const P256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256", algorithms: ["ES256"] };
const MAX_BYTES = 4096;
const CARD = /^https?:\/\/\S+\/card\/[\w-]+$/;
const FRESH_S = 90;
const MAX_DAYS = 35;
const SAME_VISIT_S = 12 * 3600;

const bytes = new TextEncoder();
const now = () => Date.now() / 1000;

const fromBase64url = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const toBase64url = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const readPart = (text) => JSON.parse(new TextDecoder().decode(fromBase64url(text)));

class Fault extends Error {}

/* Return the claims of a token, once its signature holds. The key is found as a JWK: Ed25519 for homes;
 * a phone may have P-256, with which nothing but key bindings is signed.
 */
async function verify(token, findKey, typ) {
  const parts = token.split(".");
  if (parts.length !== 3) throw new Fault("pass_malformed");
  const [header, claims] = parts.slice(0, 2).map(readPart);
  const { kty, crv, x, y } = await findKey(header, claims);
  const kind = kty === "EC" ? P256 : ED25519;
  if (!kind.algorithms.includes(header.alg) || header.typ !== typ || "crit" in header) {
    throw new Fault("pass_malformed");
  }
  const jwk = kind === P256 ? { kty, crv, x, y } : { kty: "OKP", crv: "Ed25519", x };
  const key = await crypto.subtle.importKey("jwk", jwk, kind, false, ["verify"]);
  const signed = bytes.encode(parts.slice(0, 2).join("."));
  const good = await crypto.subtle.verify(kind, key, fromBase64url(parts[2]), signed);
  if (!good) throw new Fault("pass_malformed");
  return claims;
}

const soundDates = ({ iat, exp }) =>
  iat <= now() + FRESH_S && exp > iat && exp - iat <= MAX_DAYS * 86400;

/* What a code proves: the credential's claims, and when the phone signed. Throws Fault. */
async function examine(text, kit) {
  const parts = text.split("~");
  if (parts.length !== 2 || bytes.encode(text).length > MAX_BYTES) throw new Fault("pass_malformed");
  const [credential, binding] = parts;
  const pass = await verify(credential, (header, claims) => {
    const x = kit.homes[claims.iss]?.keys[header.kid];
    if (!x) throw new Fault("home_unknown");
    return { x };
  }, "dc+sd-jwt");
  if (!soundDates(pass)) throw new Fault("pass_malformed");
  const proof = await verify(binding, () => pass.cnf.jwk, "kb+jwt");
  const hash = toBase64url(await crypto.subtle.digest("SHA-256", bytes.encode(`${credential}~`)));
  if (proof.aud !== "passerelle:check-in" || proof.sd_hash !== hash || !proof.nonce) {
    throw new Fault("pass_malformed");
  }
  return { pass, shownAt: proof.iat };
}

function statusOf(list, index) {
  if (!list || (list.until && list.until < now())) return undefined;
  const packed = fromBase64url(list.bits);
  return index >> 2 < packed.length ? (packed[index >> 2] >> ((index & 3) * 2)) & 3 : 1;
}

/* The codes that this browser finds by itself. */
function found(kit, { pass, shownAt }, queue) {
  const own = pass.iss === kit.host;
  const codes = [];
  if (pass.exp <= now()) codes.push("pass_expired");
  const ages = [now() - shownAt, now() + kit.civil_offset - shownAt];
  if (!ages.some((age) => Math.abs(age) <= kit.fresh_seconds)) codes.push("pass_stale");
  const status = statusOf(kit.homes[pass.iss].statuses, pass.status.status_list.idx);
  if (status === 1) codes.push("pass_revoked");
  if (status === 2) codes.push("pass_suspended");
  if (!own && pass.nbf > now() + kit.civil_offset) {
    codes.push(kit.reasons.seniority ? "seniority" : "pass_malformed");
  }
  if (kit.hours && !openNow(kit)) codes.push("space_closed");
  if (own) return codes;
  if (status === undefined || now() > kit.trust_until) codes.push("trust_list_stale");
  const waiting = queue.filter((each) => !each.own);
  if (kit.places !== null && waiting.length >= kit.places) codes.push("guest_cap");
  const hers = waiting.filter((each) => each.holder === holder(pass));
  if (hers.length >= kit.visits_per_pass) codes.push("offline_budget");
  return codes;
}

const openNow = (kit) => kit.hours?.find(([start, end]) => start <= now() && now() < end);
const holder = (pass) => `${pass.iss} ${pass.sub}`;

/* Decide on a code without the node. Whoever is let in is in the queue before this returns.
 * Returns undefined when the node never gave this browser anything to decide with.
 */
export async function decideAlone(text) {
  const kit = await get(KIT);
  if (!kit) return undefined;
  let shown = text.trim();
  if (CARD.test(shown)) return { allowed: false, reasons: [kit.reasons.paper] };
  let seen;
  try {
    shown = await unpack(shown);
    seen = await examine(shown, kit);
  } catch (error) {
    const code = error instanceof Fault ? error.message : "pass_malformed";
    return { allowed: false, reasons: [kit.reasons[code]] };
  }
  const { pass } = seen;
  const queue = (await get(QUEUE)) ?? [];
  const home = kit.homes[pass.iss];
  const name = pass.given_name ?? "";
  const wall = (at) => at && new Date((at + kit.civil_offset) * 1000)
    .toLocaleTimeString(document.documentElement.lang, { timeStyle: "short", timeZone: kit.timezone });
  const until = wall(openNow(kit)?.[1]);
  const answer = { allowed: true, reasons: [], name, home: home.name, until, welcome: kit.welcome };
  const before = queue.find((each) =>
    each.text === shown || (each.holder === holder(pass) && now() - each.at < SAME_VISIT_S));
  if (before) return { ...answer, since: wall(before.at) };
  const codes = found(kit, seen, queue);
  const said = home.plans[pass.plan]?.reasons ?? [kit.reasons.pass_malformed];
  const reasons = [...codes.map((code) => kit.reasons[code]).filter(Boolean), ...said];
  if (reasons.length) return { ...answer, allowed: false, reasons };
  const entry = {
    id: crypto.randomUUID(), space: kit.space, text: shown, at: now(), name,
    holder: holder(pass), own: pass.iss === kit.host,
  };
  await update(QUEUE, (each = []) => [...each, entry]);
  return answer;
}

const json = (response) => response.json().catch(() => ({}));

async function refreshKit(space) {
  const response = await fetch(`/api/v1/desk-kit?space=${encodeURIComponent(space)}`, {
    headers: { "Accept-Language": document.documentElement.lang },
    signal: AbortSignal.timeout(5000),
  });
  if (response.status === 401 || response.status === 403) return { login: true };
  if (!response.ok) throw new Error("away");
  const kit = await response.json();
  const { csrf, ...kept } = kit;
  await set(KIT, kept);
  return { csrf };
}

async function tell(entry, csrf) {
  const response = await fetch("/api/v1/check-ins/late", {
    method: "POST",
    headers: {
      "Content-Type": "application/json", "X-CSRFToken": csrf, "Idempotency-Key": entry.id,
      "Accept-Language": document.documentElement.lang,
    },
    body: JSON.stringify({
      space: entry.space, pass: entry.text, at: new Date(entry.at * 1000).toISOString(),
    }),
  });
  if (response.status >= 500 || response.status === 401 || response.status === 429) {
    throw new Error("away");
  }
  if (response.ok) return;
  const problem = await json(response);
  const why = problem.decision?.reasons?.[0]?.message ?? problem.title ?? String(response.status);
  await update(REFUSED, (each = []) => [...each, { name: entry.name, at: entry.at, why }]);
}

/* Take what the node says now, and tell it whom this browser let in: in order, by one tab at a time,
 * each until it is answered. Returns {away}, {login} or {told}, how many.
 */
export function meet(space) {
  return navigator.locks.request("desk", async () => {
    try {
      const known = space || (await get(KIT))?.space;
      if (!known) return { away: false, told: 0 };
      const { csrf, login } = await refreshKit(known);
      if (login) return { login };
      const queue = (await get(QUEUE)) ?? [];
      for (const entry of queue) {
        await tell(entry, csrf);
        await update(QUEUE, (each = []) => each.filter((other) => other.id !== entry.id));
      }
      if (queue.length) await refreshKit(known);
      return { told: queue.length };
    } catch {
      return { away: true };
    }
  });
}

export const waiting = async () => ((await get(QUEUE)) ?? []).length;
export const refused = async () => (await get(REFUSED)) ?? [];
export const spaceKept = async () => (await get(KIT))?.space ?? "";
