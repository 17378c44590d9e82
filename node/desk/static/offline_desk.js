/* The desk without its node, as a state machine: what this browser was given, whom it let in, and
 * what time it is. Pure: no page, no network, no store; whoever calls brings the time.
 *
 * One state for each space. Its entries are `waiting` to be told, `told`, or `stuck`: the node would
 * not have them, or could not; they stay, with its words, until a person decides.
 */
import { decide, halfDayAt, isoIn, message, wallClock } from "./charter.js";

const TRIES = 3; // that fail by this entry alone; then it lets the others pass
const STUCK_AGAIN_S = 3600;
const JUMP_S = 5;
const DAY_S = 86_400;

export const empty = (space) => ({ space, bundle: null, clock: null, entries: [] });

/* Time. `at` is {wall, mono, page}: this device's clock, and a counter that runs evenly while one
 * page lives. The anchor says what the node's clock showed at such a moment.
 */
export function timeOf(clock, { wall, mono, page }) {
  if (!clock) return { now: wall, also: wall, jumped: 0 };
  const slept = wall - clock.wall;
  if (page === clock.page) {
    const ran = mono - clock.mono;
    const jump = clock.jump + (Math.abs(slept - ran) > JUMP_S ? slept - ran : 0);
    return { now: clock.node + ran, also: clock.node + ran + Math.max(jump, 0), jumped: jump };
  }
  const back = slept < -JUMP_S; // set back while no page was open: nobody knows by how much
  const now = clock.node + Math.max(slept, 0);
  return { now, also: now + Math.max(clock.jump, 0), jumped: back ? slept : clock.jump };
}

function anchored(clock, at) {
  const { now, jumped } = timeOf(clock, at);
  return { node: now, ...at, jump: jumped };
}

/* What is known of this place at an instant on its wall. */
function openingAt({ hours }, now) {
  return hours.find(([opens, closes]) => opens <= now && now < closes);
}
const local = (bundle, now) => now + wallClock(now * 1000, bundle.timezone).ahead * 60;

/* The house's day: of the opening's begin, where it is not open round the clock. */
function dayAt(bundle, now) {
  const [opens, closes] = openingAt(bundle, now) ?? [now, now];
  const began = local(bundle, closes) - local(bundle, opens) >= DAY_S ? now : opens;
  return wallClock(began * 1000, bundle.timezone).day;
}

/* When a visit that begins now is over if nobody says so: with the last opening of the house's day. */
function closingAfter(bundle, now) {
  const day = dayAt(bundle, now);
  const ofDay = bundle.hours.filter(([opens]) =>
    wallClock(opens * 1000, bundle.timezone).day === day);
  const [opens, closes] = openingAt(bundle, now) ?? [0, 0];
  const roundTheClock = local(bundle, closes) - local(bundle, opens) >= DAY_S;
  if (closes && !roundTheClock) return ofDay.at(-1)[1];
  const midnight = (Math.floor(local(bundle, now) / DAY_S) + 1) * DAY_S;
  return midnight - (local(bundle, now) - now);
}

const turnAt = ({ turns }, now) => turns.findLast(([from]) => from <= now)?.[1] ?? turns[0][1];

/* Every visit that counts, those that only this browser knows among them. */
function visitsOf({ bundle, entries }, now) {
  const ours = entries.filter((entry) => entry.holder).map((entry) => ({
    ...entry, present: true, untold: true, used: entry.own ? [] : [entry.half],
  }));
  const isIn = (ours) => bundle.visits.some(({ holder, started }) =>
    holder === ours.holder && Math.abs(started - ours.started) < 2); // told, and the answer was lost
  const all = [...bundle.visits, ...ours.filter((visit) => !isIn(visit))];
  return all.map((visit) => ({ ...visit, present: visit.present && visit.closes > now }));
}

function statusFault(list, index) {
  const packed = atob(list.bits.replaceAll("-", "+").replaceAll("_", "/"));
  if (index >> 2 >= packed.length) return [{ code: "pass_revoked", detail: "index" }];
  const status = (packed.charCodeAt(index >> 2) >> ((index & 3) * 2)) & 3;
  return status ? [{ code: status === 2 ? "pass_suspended" : "pass_revoked", detail: "" }] : [];
}

/* The faults of a pass that depend on what time it is. */
function timeFaults({ pass, shownAt }, bundle, real, civil) {
  const faults = [];
  const early = pass.nbf > civil && pass.iss !== bundle.host;
  if (early) faults.push({ code: "pass_malformed", detail: "not_yet" });
  if (pass.exp <= real) faults.push({ code: "pass_expired", detail: "" });
  if (shownAt === undefined) return faults;
  const fresh = [real, civil].some((now) => Math.abs(now - shownAt) <= bundle.fresh_seconds);
  return fresh ? faults : [...faults, { code: "pass_stale", detail: "" }];
}

/* The facts of a scan, as node/desk/offline_facts.py and places.py gather them. */
export function factsOf(state, seen, real) {
  const { bundle } = state;
  const civil = real + bundle.civil_offset;
  const zone = bundle.timezone;
  const opening = openingAt(bundle, civil);
  const next = bundle.hours.find(([opens]) => opens > civil)?.[0];
  const spell = (seconds) => isoIn(seconds * 1000, zone);
  const { booked_places: bookedPlaces, ...house } = turnAt(bundle, civil);
  const facts = {
    ...house, space: bundle.space, host: bundle.host, timezone: zone, online: false,
    host_state: bundle.homes[bundle.host].state ?? "connected",
    host_signed: bundle.homes[bundle.host].charter, opening: opening?.map(spell) ?? null,
    next_opening: opening || next === undefined ? null : spell(next),
    trust_list_age: Math.max(0, Math.floor(real - bundle.trusted_at)),
    faults: seen.faults,
  };
  const { pass } = seen;
  const ahead = pass && pass.iat > real + bundle.fresh_seconds;
  if (ahead) return { ...facts, faults: [{ code: "pass_malformed", detail: "iat_ahead" }] };
  if (!pass) return facts;
  const own = pass.iss === bundle.host;
  const home = bundle.homes[pass.iss];
  const listed = home.statuses;
  const holds = listed && (!listed.until || listed.until > real);
  const visits = visitsOf(state, civil);
  const mine = visits.filter(({ holder }) => holder === holderOf(pass));
  const others = visits.filter(({ present, holder }) => present && holder !== holderOf(pass));
  const guests = others.filter((visit) => !visit.own).length;
  const booked = bundle.bookings.filter(({ starts, ends }) => starts <= civil && civil < ends);
  const theirs = booked.filter(({ passes }) => !passes.includes(pass.sub));
  const cameSince = ({ passes }) => state.entries.some(({ holder = "" }) =>
    passes.includes(holder.split(" ")[1]));
  const kept = theirs.filter((each) => !cameSince(each)).length;
  const half = halfDayAt(civil * 1000, dayAt(bundle, civil), zone, splitOf(bundle));
  const used = new Set(mine.flatMap((visit) => visit.used).filter((each) =>
    each.slice(0, 7) === half.slice(0, 7)));
  return {
    ...facts,
    home: pass.iss, plan: pass.plan, home_state: home.state, home_signed: home.charter,
    home_half_days: Number.isInteger(home.plans[pass.plan]) ? home.plans[pass.plan] : null,
    usable_from: pass.nbf === undefined ? null : spell(pass.nbf),
    faults: [
      ...seen.faults, ...timeFaults(seen, bundle, real, civil),
      ...(holds ? statusFault(listed, pass.status.status_list.idx) : []),
    ],
    trust_list_age: holds
      ? Math.max(facts.trust_list_age, Math.floor(real - (listed.issued ?? real))) : null,
    guest_cap: theirs.length < booked.length ? bookedPlaces : facts.guest_cap,
    guests_present: guests + kept,
    people_present: others.length + (own ? 0 : kept),
    used_network: null, used_host: used.size, counted_already: used.has(half),
    offline_visits: mine.filter((visit) => visit.untold && !visit.own).length,
  };
}

const splitOf = ({ charter }) => charter.rules.opening_hours.split;
const holderOf = ({ iss, sub }) => `${iss} ${sub}`;

/* Of the two times that may be right after the device slept, or its clock was set, the one at which
 * the phone signed.
 */
function instantOf(clock, at, { shownAt }) {
  const { now, also } = timeOf(clock, at);
  return shownAt !== undefined && Math.abs(also - shownAt) < Math.abs(now - shownAt) ? also : now;
}

/* What is said to a scan: {kind: "unknown"} without a bundle, "card" for paper, "yes" or "no". */
function scanned(state, { seen, at, id }) {
  const { bundle } = state;
  if (!bundle) return { state, answer: { kind: "unknown" } };
  const real = instantOf(state.clock, at, seen);
  const civil = real + bundle.civil_offset;
  const facts = factsOf(state, seen, real);
  if (seen.paper) Object.assign(facts, paperFacts(bundle));
  const decision = decide(bundle.charter, facts, civil * 1000);
  const reasons = decision.reasons.map((each) => ({ ...each, message: message(each, bundle.words) }));
  const { pass } = seen;
  const answer = {
    kind: reasons.length ? "no" : "yes", decision: { ...decision, reasons },
    clock: timeOf(state.clock, at).jumped, article: bundle.charter.rules.offline.article,
  };
  if (!pass) return { state, answer };
  const own = pass.iss === bundle.host;
  Object.assign(answer, {
    name: pass.given_name, home: bundle.homes[pass.iss].name, own, welcome: bundle.welcome,
    until: wallTime(bundle, decision.terms.until),
  });
  const known = visitsOf(state, civil).find((visit) =>
    visit.present && visit.holder === holderOf(pass) && visit.started <= civil);
  if (known && !reasons.some(({ code }) => code.startsWith("pass_"))) {
    return { state, answer: { ...answer, kind: "yes", since: wallTime(bundle, known.started) } };
  }
  if (reasons.length) return { state, answer };
  const entry = {
    id, state: "waiting", tries: 0, text: seen.text, at: real, name: pass.given_name,
    zone: bundle.timezone, holder: holderOf(pass), own, started: civil, closes: closingAfter(bundle, civil),
    half: halfDayAt(civil * 1000, dayAt(bundle, civil), bundle.timezone, splitOf(bundle)),
  };
  return { state: { ...state, entries: [...state.entries, entry] }, answer };
}

/* A card of paper needs its home and the network: alone, its bearer can only be told so. */
const paperFacts = ({ host, homes, charter }) => ({
  paper: true, home: "", home_state: "connected", home_signed: charter.version,
  host_state: homes[host].state ?? "connected", plan: charter.rules.eligible_plans?.classes[0],
});

function wallTime({ timezone }, when) {
  if (when === null) return "";
  const instant = typeof when === "string" ? Date.parse(when) : when * 1000;
  return wallClock(instant, timezone).time.slice(0, 5);
}

const change = (state, id, how) => ({
  ...state, entries: state.entries.map((entry) => (entry.id === id ? how(entry) : entry)),
});

/* Without names: what is left is what it takes to tell, and the signed text has the name in it. */
const nameless = ({ name: _, ...entry }) => entry;
const reducers = {
  bundle: (state, { bundle, at }) => ({
    ...state, bundle, clock: { node: bundle.as_of, ...at, jump: 0 },
    // What was told before this bundle was made is in it.
    entries: state.entries.filter((entry) => entry.state !== "told" || entry.since >= bundle.as_of),
  }),
  clock: (state, { at }) => (state.clock ? { ...state, clock: anchored(state.clock, at) } : state),
  told: (state, { id, at }) => change(state, id, ({ text: _, tries: __, ...entry }) =>
    ({ ...nameless(entry), state: "told", since: timeOf(state.clock, at).now })),
  // The node answers others, and not this one.
  unanswered: (state, { id, at }) => change(state, id, (entry) => {
    const tries = entry.tries + 1;
    if (tries < TRIES) return { ...entry, tries };
    return { ...entry, tries, state: "stuck", why: "", since: timeOf(state.clock, at).now };
  }),
  refused: (state, { id, why, at }) => change(state, id, (entry) =>
    ({ ...entry, state: "stuck", why, since: timeOf(state.clock, at).now })),
  again: (state, { id }) => change(state, id, ({ why: _, since: __, ...entry }) =>
    ({ ...entry, state: "waiting", tries: 0 })),
  remove: (state, { id }) => ({
    ...state, entries: state.entries.filter((entry) => entry.id !== id || entry.state !== "stuck"),
  }),
  left: (state) => ({
    ...state, bundle: null,
    entries: state.entries.filter((entry) => entry.state !== "told").map(nameless),
  }),
};

/* The one way in: an event makes {state, answer}, of which only a scan has an answer. */
export function reduce(before, event) {
  const state = before ?? empty(event.space);
  if (event.type === "scan") return scanned(state, event);
  return { state: reducers[event.type](state, event) };
}

/* Whom the node is to be told of now, in order; what it would not have is tried again by a person
 * alone, what it could not take also by itself, now and then.
 */
export function due({ entries, clock }, at) {
  const { now } = timeOf(clock, at);
  return entries.filter((entry) => entry.state === "waiting"
    || (entry.state === "stuck" && !entry.why && now - entry.since > STUCK_AGAIN_S));
}
