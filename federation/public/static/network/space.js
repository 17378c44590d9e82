/* A space's page: what ages is asked for again each minute while somebody looks, and sharing.
 * Without it the page says what was so when it was opened. Words are in data-label-* attributes.
 */
const live = document.getElementById("live");
const state = document.getElementById("live-state");
const places = document.getElementById("live-places");
const EVERY = 60_000;

const label = (name, values = {}) => Object.entries(values).reduce(
  (text, [key, value]) => text.replace(`{${key}}`, value),
  live.getAttribute(`data-label-${name}`) ?? "",
);

// The page's own words are British: 24 hours.
const language = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang;
const format = (options) => new Intl.DateTimeFormat(language, { timeZone: live.dataset.zone, ...options });
const hour = (instant) => format({ hour: "2-digit", minute: "2-digit" }).format(new Date(instant));
const moment = (instant) => format({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }).format(new Date(instant));

function span(className, text) {
  const made = document.createElement("span");
  made.className = className;
  made.textContent = text;
  return made;
}

function sayState(space) {
  const [kind, text] = space.open === null ? ["unknown", label("hours-unknown")]
    : space.open ? ["yes", label("open", { time: hour(space.closes_at) })]
    : ["no", space.opens_at ? label("opens", { time: moment(space.opens_at) }) : label("closed")];
  state.replaceChildren(span(`badge is-${kind}`, text));
}

function sayPlaces({ reciprocity, availability }) {
  const free = availability.guest_places_free;
  const known = free !== null;
  const text = !reciprocity ? label("out")
    : availability.paused ? label("none")
    : !known ? label("places-unknown")
    : free === 1 ? label("place") : label("places", { n: free });
  const when = known ? label("at", { time: hour(availability.as_of) })
    : reciprocity && !availability.paused ? label("heard", { time: moment(availability.as_of) }) : "";
  places.replaceChildren(`${text} `, span("hint", when));
}

let last = null; // what was heard last: it holds until its ttl is over, also when nobody answers

async function ask() {
  if (document.hidden) return;
  try {
    const answer = await fetch(live.dataset.space);
    if (!answer.ok) throw new Error(answer.status);
    last = await answer.json();
  } catch {
    if (last === null) return;
    const { as_of: asOf, ttl } = last.availability;
    if (Date.now() > new Date(asOf).getTime() + ttl * 1000) {
      last.availability.guest_places_free = null;
    }
  }
  if (!last.project) sayState(last);
  if (places) sayPlaces(last);
}

if (live) {
  setInterval(ask, EVERY);
  document.addEventListener("visibilitychange", ask);
}

const ways = document.getElementById("share-ways");
const said = document.getElementById("share-said");
const can = {
  share: "share" in navigator,
  copy: "clipboard" in navigator,
  print: "print" in window,
};
const actions = {
  share: () => navigator.share({ title: ways.dataset.title, url: ways.dataset.address }).catch(() => {}),
  copy: () => navigator.clipboard.writeText(ways.dataset.address)
    .then(() => { said.textContent = ways.dataset.copied; })
    .catch(() => { said.textContent = ways.dataset.failed; }),
  print: () => window.print(),
};

for (const button of ways?.querySelectorAll("button[data-do]") ?? []) {
  button.parentElement.hidden = !can[button.dataset.do];
  button.addEventListener("click", actions[button.dataset.do]);
}
