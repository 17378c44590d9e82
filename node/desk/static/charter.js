/* The charter's decision for a browser that is alone: what charter/engine.py decides, from the same
 * facts, rules and clock. The cases of charter/cases hold the two together.
 *
 * `rules` are the tables of rules.toml, `facts` as charter.facts writes them; instants are texts
 * with an offset. Pure: no clock, no network, no page.
 */
const CODES = [
  "pass_malformed", "pass_expired", "pass_stale", "pass_replayed", "pass_revoked",
  "pass_suspended", "home_unknown", "home_suspended", "charter_unsigned", "plan_not_eligible",
  "seniority", "quota_host", "quota_network", "reciprocity_floor", "paused", "space_closed",
  "space_full", "guest_cap", "offline_budget", "trust_list_stale",
];
const MEMBER_STATES = ["connected", "late", "offline"];
const UNSAID = {
  faults: [], plan: null, usable_from: null, paper: false, member_since: null, home: null,
  home_state: null, home_signed: null, home_half_days: null, host: "", host_state: "connected",
  host_signed: null, space: "", paused: false, closed_date: null, hours_known: true, opening: null,
  next_opening: null, timezone: "Europe/Paris", guests_present: 0, guest_cap: 0,
  people_present: 0, capacity: null, services: [], used_host: 0, used_network: 0,
  counted_already: false, online: true, trust_list_age: null, offline_visits: 0,
};
const DAY_MS = 86_400_000;
const pad = (number, width = 2) => String(number).padStart(width, "0");

/* An instant as the clock on the wall of a zone shows it: {day, time, offset}. */
export function wallClock(instant, zone) {
  const parts = new Intl.DateTimeFormat("en-GB", {
    timeZone: zone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit",
    hour: "2-digit", minute: "2-digit", second: "2-digit",
  }).formatToParts(instant);
  const { year, month, day, hour, minute, second } =
    Object.fromEntries(parts.map(({ type, value }) => [type, value]));
  const shown = Date.UTC(year, month - 1, day, hour, minute, second);
  const ahead = Math.round((shown - Math.floor(instant / 1000) * 1000) / 60_000);
  const sign = ahead < 0 ? "-" : "+";
  const offset = `${sign}${pad(Math.floor(Math.abs(ahead) / 60))}:${pad(Math.abs(ahead) % 60)}`;
  return { day: `${year}-${month}-${day}`, time: `${hour}:${minute}:${second}`, offset, ahead };
}

/* The instant, in milliseconds, at which a zone's wall shows a day and a time. */
function instantAt(day, time, zone) {
  const shown = Date.parse(`${day}T${time.length === 5 ? `${time}:00` : time}Z`);
  const guess = shown - wallClock(shown, zone).ahead * 60_000;
  return shown - wallClock(guess, zone).ahead * 60_000;
}

export function isoIn(instant, zone) {
  const { day, time, offset } = wallClock(instant, zone);
  return `${day}T${time}${offset}`;
}

/* The half-day of a house's day at an instant, as charter/halfdays.py names it. */
export function halfDayAt(instant, day, zone, split) {
  const local = wallClock(instant, zone);
  const morning = local.day === day && local.time < (split.length === 5 ? `${split}:00` : split);
  return `${day} ${morning ? "am" : "pm"}`;
}

function* passReasons(rules, facts, atHome) {
  const known = facts.faults.filter(({ code, detail }) =>
    !((atHome || rules.seniority) && code === "pass_malformed" && detail === "not_yet"));
  const seen = new Map(known.map((fault) => [`${fault.code} ${fault.detail ?? ""}`, fault]));
  const sorted = [...seen.values()].sort((a, b) =>
    CODES.indexOf(a.code) - CODES.indexOf(b.code)
    || ((a.detail ?? "") < (b.detail ?? "") ? -1 : 1));
  for (const { code, detail } of sorted) {
    const article = code.startsWith("home_") ? rules.articles.membership : rules.articles.pass;
    yield [code, article, detail ? { detail } : {}];
  }
  if (facts.home === null && !facts.faults.length) {
    yield ["home_unknown", rules.articles.membership, { node: null }];
  }
}

function* homeReasons(rules, version, facts) {
  const article = rules.articles.membership;
  const node = { node: facts.home };
  if (facts.faults.some(({ code }) => code.startsWith("home_"))) return;
  if (facts.home_state === "suspended") yield ["home_suspended", article, node];
  else if (!MEMBER_STATES.includes(facts.home_state)) yield ["home_unknown", article, node];
  else if (facts.home_signed !== version) yield ["charter_unsigned", article, node];
}

function* seniority({ article, days }, facts, now) {
  let memberFor = days;
  if (facts.member_since !== null) {
    const today = wallClock(now, facts.timezone).day;
    memberFor = (Date.parse(today) - Date.parse(facts.member_since)) / DAY_MS;
  }
  if (memberFor < days) {
    yield ["seniority", article, { days: Math.max(memberFor, 0), limit: days }];
  } else if (facts.usable_from !== null && now < Date.parse(facts.usable_from)) {
    const from = isoIn(Date.parse(facts.usable_from), facts.timezone);
    yield ["seniority", article, { from, limit: days }];
  }
}

function* personReasons(rules, facts, now) {
  const { eligible_plans: eligible, half_days: limits, paper_card: paper } = rules;
  if (eligible && !eligible.classes.includes(facts.plan)) {
    yield ["plan_not_eligible", eligible.article, { plan: facts.plan, eligible: [...eligible.classes].sort() }];
  }
  if (rules.seniority) yield* seniority(rules.seniority, facts, now);
  const adds = facts.counted_already ? 0 : 1;
  const over = (used, limit) => used !== null && used + adds > limit;
  if (facts.paper && !paper) {
    yield ["pass_malformed", rules.articles.pass, { detail: "paper" }];
  } else if (facts.paper && over(facts.used_network, paper.half_days)) {
    const params = { used: facts.used_network, limit: paper.half_days, detail: "paper" };
    yield ["quota_network", paper.article, params];
  }
  for (const [code, used, limit] of limits ? [
    ["quota_host", facts.used_host, limits.per_host],
    ["quota_network", facts.used_network, limits.network],
  ] : []) {
    if (over(used, limit)) yield [code, limits.article, { used, limit }];
  }
  const included = facts.home_half_days;
  if (rules.reciprocity_floor && included !== null && over(facts.used_network, included)) {
    const params = { used: facts.used_network, limit: included };
    yield ["reciprocity_floor", rules.reciprocity_floor.article, params];
  }
}

function* unverified(rules, facts) {
  const noNetwork = facts.used_network === null;
  if (rules.seniority && facts.member_since === null && facts.usable_from === null) yield "seniority";
  if (rules.half_days && facts.used_host === null) yield "quota_host";
  if ((rules.half_days || (rules.paper_card && facts.paper)) && noNetwork) yield "quota_network";
  if (rules.reciprocity_floor && facts.home_half_days !== null && noNetwork) yield "reciprocity_floor";
}

function* spaceReasons(rules, facts) {
  if (facts.opening === null && facts.hours_known) {
    yield ["space_closed", rules.opening_hours.article, { next_opening: facts.next_opening }];
  }
  if (facts.capacity !== null && facts.people_present >= facts.capacity) {
    const params = { present: facts.people_present, capacity: facts.capacity };
    yield ["space_full", rules.articles.host, params];
  }
}

/* How many visitors a host takes at once; null where the charter sets no such limit. */
const guestPlaces = (rules, declared) =>
  (rules.guest_cap ? Math.max(declared, rules.guest_cap.at_least) : null);

function* hostReasons(rules, version, facts) {
  const { articles, house_conditions: house } = rules;
  if (!MEMBER_STATES.includes(facts.host_state)) {
    yield ["paused", articles.membership, { by: "network" }];
  } else if (facts.paused) {
    yield ["paused", articles.host, { by: "host" }];
  } else if (facts.closed_date !== null && (!house || facts.closed_date <= house.closed_dates)) {
    yield ["paused", house?.article ?? articles.host, { by: "host", detail: "date" }];
  }
  if (facts.host_signed !== version) {
    yield ["charter_unsigned", articles.membership, { node: facts.host }];
  }
  const places = guestPlaces(rules, facts.guest_cap);
  if (places !== null && facts.guests_present >= places) {
    yield ["guest_cap", rules.guest_cap.article, { present: facts.guests_present, limit: places }];
  }
}

function* offlineReasons({ offline, paper_card: paper }, facts) {
  if (facts.online) return;
  if (facts.paper && paper) {
    yield ["offline_budget", paper.article, { used: 0, limit: 0, detail: "paper" }];
  } else if (facts.offline_visits >= offline.visits_per_pass) {
    const params = { used: facts.offline_visits, limit: offline.visits_per_pass };
    yield ["offline_budget", offline.article, params];
  }
  const age = facts.trust_list_age;
  if (age === null || age > offline.trust_list_hours * 3600) {
    const hours = age === null ? null : Math.floor(age / 3600);
    yield ["trust_list_stale", offline.article, { hours, limit: offline.trust_list_hours }];
  }
}

function halfDaysLeft(rules, facts) {
  const adds = facts.counted_already ? 0 : 1;
  const left = (limit, used) =>
    (limit === null || used === null ? null : Math.max(0, limit - used - adds));
  const caps = [];
  if (rules.half_days) caps.push(rules.half_days.network);
  if (rules.paper_card && facts.paper) caps.push(rules.paper_card.half_days);
  if (rules.reciprocity_floor && facts.home_half_days !== null) caps.push(facts.home_half_days);
  return {
    host: left(rules.half_days?.per_host ?? null, facts.used_host),
    network: left(caps.length ? Math.min(...caps) : null, facts.used_network),
  };
}

/* With no further half-day left, a morning's visit ends at the split, an afternoon's at closing. */
function endOfHalfDay(rules, facts, now) {
  const { timezone: zone, opening } = facts;
  const { split } = rules.opening_hours;
  const { day } = wallClock(opening ? Date.parse(opening[0]) : now, zone);
  if (halfDayAt(now, day, zone, split).endsWith("am")) {
    const ends = instantAt(day, split, zone);
    return opening ? Math.min(ends, Date.parse(opening[1])) : ends;
  }
  if (opening) return Date.parse(opening[1]);
  const next = new Date(Date.parse(day) + DAY_MS).toISOString().slice(0, 10);
  return instantAt(next, "00:00", zone);
}

function termsOf(rules, facts, now, atHome) {
  const left = atHome ? { host: null, network: null } : halfDaysLeft(rules, facts);
  let until = facts.opening ? Date.parse(facts.opening[1]) : null;
  const last = left.host === 0 || left.network === 0;
  if (last && (facts.opening || !facts.hours_known)) until = endOfHalfDay(rules, facts, now);
  return {
    until: until === null ? null : isoIn(until, facts.timezone),
    services: facts.services,
    half_days_left: left,
  };
}

/* The decision at an instant, in milliseconds, in the form of the contract, but for the words. */
export function decide({ version, rules }, given, now) {
  const facts = { ...UNSAID, ...given };
  const atHome = facts.home !== null && facts.home === facts.host;
  const reasons = [...passReasons(rules, facts, atHome)];
  const unseen = [];
  if (facts.home !== null && !atHome) {
    reasons.push(...homeReasons(rules, version, facts), ...personReasons(rules, facts, now));
    unseen.push(...unverified(rules, facts));
  }
  reasons.push(...spaceReasons(rules, facts));
  if (!atHome) reasons.push(...hostReasons(rules, version, facts), ...offlineReasons(rules, facts));
  reasons.sort(([a], [b]) => CODES.indexOf(a) - CODES.indexOf(b));
  return {
    outcome: reasons.length ? "refused" : "allowed",
    reasons: reasons.map(([code, article, params]) => ({ code, article, params })),
    charter: version,
    terms: termsOf(rules, facts, now, atHome),
    online: facts.online,
    unverified: unseen,
  };
}

function variant(code, params, texts) {
  const detail = String(params.detail ?? "");
  if (code === "pass_malformed" && detail.startsWith("key_binding")) return `${code}.key_binding`;
  if (`${code}.${detail}` in texts) return `${code}.${detail}`;
  if (code === "seniority" && "from" in params) return "seniority.from";
  if (code === "space_closed" && params.next_opening) return "space_closed.next";
  return code === "paused" && params.by === "network" ? "paused.network" : code;
}

/* The sentence for a reason, from the texts that charter.messages keeps in the reader's language. */
export function message({ code, params }, { texts, plans, moment }) {
  const shown = (name) => {
    const value = params[name];
    if (name === "plan" && value in plans) return plans[value];
    if (name === "from" || name === "next_opening") {
      const [, year, month, day, time] = /^(\d+)-(\d+)-(\d+)T(\d\d:\d\d)/.exec(value ?? "") ?? [];
      return time ? `${day}/${month}/${year} ${moment} ${time}` : "–";
    }
    return ["string", "number"].includes(typeof value) ? String(value) : "–";
  };
  return (texts[variant(code, params, texts)] ?? code).replace(/\{(\w+)\}/g, (_, name) => shown(name));
}
