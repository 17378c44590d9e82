/* Between the desk's state and the world: this browser's store, its clock, and the node. What the node
 * says counts in its own words alone; whatever else answers in its place is no answer.
 */
import { due, empty, reduce } from "./offline_desk.js";
import { CannotVerify, examine } from "./verify.js";
import { del, get, keys, update } from "/static/vendor/idb-keyval/index.js";

const PATIENCE_MS = 8000;
const STATE = "desk:";
const BUNDLE = "desk-bundle:";

/* Also where the page came by plain HTTP, and the browser has no crypto.randomUUID. */
const newId = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((n) => n.toString(16).padStart(2, "0")).join("");
const PAGE = newId();
const moment = () => ({ wall: Date.now() / 1000, mono: performance.now() / 1000, page: PAGE });

/* Where the browser keeps nothing, the page remembers as long as it lives. */
const unkept = new Map();
export const keepsNothing = () => unkept.size > 0;
async function read(name) {
  return unkept.get(name) ?? get(name).catch(() => undefined);
}
async function write(name, change) {
  try {
    if (!unkept.has(name)) return await update(name, change);
  } catch { /* in memory, then */ }
  return unkept.set(name, change(unkept.get(name)));
}

/* The bundle is kept apart: it is large, and changes seldom. */
async function dispatch(space, event) {
  const needed = event.type === "scan" ? await read(BUNDLE + space) : event.bundle;
  const bundle = needed ?? null;
  let done;
  await write(STATE + space, (before) => {
    const state = { ...empty(space), ...before, bundle };
    done = reduce(state, { ...event, space, at: moment() });
    return { ...done.state, bundle: null };
  });
  if (event.type === "bundle") await write(BUNDLE + space, () => bundle);
  return done;
}

/* The bundle goes first: where this is cut short, names are left, and the next page begins again. */
async function leave(space) {
  unkept.delete(BUNDLE + space);
  await del(BUNDLE + space).catch(() => undefined);
  await dispatch(space, { type: "left" });
}

/* The state without its bundle. */
export const load = async (space) => ({ ...empty(space), ...(await read(STATE + space)) });
export const tick = (space) => dispatch(space, { type: "clock" });
export const sendAgain = (space, id) => dispatch(space, { type: "again", id });
export const remove = (space, id) => dispatch(space, { type: "remove", id });

async function spacesWith(prefix) {
  const names = await keys().catch(() => []);
  return names.map(String).filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length));
}

/* The spaces whose desk this browser can keep, with their names. */
export async function spacesKept() {
  const ids = await spacesWith(BUNDLE);
  return Promise.all(ids.map(async (id) => ({ id, name: (await read(BUNDLE + id))?.name ?? id })));
}

/* Nobody is logged in any more: no name stays, but in signed texts that are still to be told. */
export async function forget() {
  const spaces = new Set([...(await spacesWith(STATE)), ...(await spacesWith(BUNDLE))]);
  await Promise.all([...spaces].map(leave));
}

/* Decide on a code without the node. Whoever is let in is kept before this returns. */
export async function decideAlone(space, text) {
  const bundle = await read(BUNDLE + space);
  if (!bundle) return { kind: "unknown" };
  try {
    const seen = await examine(text, bundle);
    return (await dispatch(space, { type: "scan", seen, id: newId() })).answer;
  } catch (error) {
    if (error instanceof CannotVerify) return { kind: "cannot" };
    throw error;
  }
}

class Away extends Error {}

/* What the node says: {status, document}. A page of a proxy, or nothing in time, is nobody's word. */
async function ask(path, options = {}) {
  const response = await fetch(path, {
    ...options,
    headers: { "Accept-Language": document.documentElement.lang, ...options.headers },
    signal: AbortSignal.timeout(PATIENCE_MS),
    cache: "no-store",
  }).catch(() => { throw new Away(); });
  const told = await response.json().catch(() => { throw new Away(); });
  const problem = /\/problems\/([\w-]+)$/.exec(told?.type)?.[1];
  if (!response.ok && !problem) throw new Away();
  return { status: response.status, document: told, problem };
}

const isStranger = ({ status }) => status === 401 || status === 403;

async function takeBundle(space) {
  const said = await ask(`/api/v1/desk-kit?space=${encodeURIComponent(space)}`);
  if (isStranger(said)) return { login: true };
  if (said.status !== 200 || said.document.space !== space) throw new Away();
  const { csrf, ...bundle } = said.document;
  await dispatch(space, { type: "bundle", bundle });
  return { csrf };
}

const ANSWERED = { 200: "told", 201: "told", 401: "login", 429: "later" };

/* Tell of one visit; returns what became of it as an event, "login" or "later". Throws Away. */
async function tell(space, entry, csrf) {
  const { status, document: said, problem } = await ask("/api/v1/check-ins/late", {
    method: "POST",
    headers: {
      "Content-Type": "application/json", "X-CSRFToken": csrf, "Idempotency-Key": entry.id,
    },
    body: JSON.stringify({ space, pass: entry.text, at: new Date(entry.at * 1000).toISOString() }),
  });
  if (problem === "forbidden") return "login";
  if (problem && status >= 500) return { type: "unanswered" };
  if (!problem && !said.visit) throw new Away();
  const known = ANSWERED[status];
  if (known) return known === "told" ? { type: "told" } : known;
  const reasons = said.decision?.reasons?.map(({ message }) => message).join(" ");
  const errors = Object.values(said.errors ?? {}).flat().join(" ");
  return { type: "refused", why: reasons || [said.title, said.detail ?? errors].filter(Boolean).join(": ") };
}

/* Tell the node whom this browser let in, each until it is answered; one that is not lets the others
 * pass, but for those of the same person: their order matters.
 */
async function tellAll(space, csrf) {
  const behind = new Set();
  let told = 0;
  for (const entry of due(await load(space), moment())) {
    if (behind.has(entry.holder)) continue;
    const said = await tell(space, entry, csrf).catch(async (error) => {
      await dispatch(space, { type: "unanswered", id: entry.id });
      throw error;
    });
    if (typeof said === "string") return { login: said === "login", told };
    await dispatch(space, { ...said, id: entry.id });
    if (said.type !== "told") behind.add(entry.holder);
    else told += 1;
  }
  return { told };
}

/* Take what the node says now, and tell it what waits: by one tab at a time for each space. Returns
 * {away}, {login}, or {told}, how many.
 */
export function meet(space) {
  const one = async () => {
    try {
      if (!space) return (await ask("/healthz")).problem ? { away: true } : { told: 0 };
      const { csrf, login } = await takeBundle(space);
      if (login) {
        await forget();
        return { login };
      }
      const met = await tellAll(space, csrf);
      if (met.told) await takeBundle(space);
      return met;
    } catch {
      return { away: true };
    }
  };
  return navigator.locks ? navigator.locks.request(`desk ${space}`, one) : one();
}

export const untold = async (space) =>
  (await load(space)).entries.filter(({ state }) => state !== "told");
