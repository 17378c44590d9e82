/* The map of what was searched for. It asks the hub for what is in view, as points or, where they
 * are many, as groups; what is near another on the screen is drawn as one. So there are never
 * more than a few hundred marks in the page, however many spaces there are.
 *
 * Texts come from the data-label-* attributes of the box: closed, close, cluster ("{n}"), error,
 * listed, more, open, unknown, zoom-in, zoom-out.
 */
import { WORLD, common, gathered, joined, read } from "./groups.js";
import { asHtml, drawOutline, element, getJson } from "./outline.js";

const { L } = globalThis;

const FRANCE = [[41.3, -5.2], [51.1, 9.6]];
const APART = 44; // pixels: nearer to each other than that, two are one mark
const MOST_NAMES = 12; // in the list of a group that no zoom takes apart
const WAIT = 150; // milliseconds of rest before the hub is asked
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

/* A div marker is a button to assistive technology only once it has a name. */
const NamedIcon = L?.DivIcon.extend({
  createIcon(old) {
    const made = L.DivIcon.prototype.createIcon.call(this, old);
    made.setAttribute("aria-label", this.options.label);
    made.title = this.options.label;
    return made;
  },
});

export class SpaceMap {
  /* hooks: card(id) gives a promise of an element that says what the list says; pointed(ids) and
   * opened(id) tell the list; moved(bbox) is called when the reader moved the map; failed(error). */
  constructor(box, hooks) {
    this.box = box;
    this.hooks = hooks;
    this.marks = new Map(); // key -> marker
    this.held = null; // what the hub told last: {box, zoom, groups, whole}
    this.usingKeyboard = false;
    this.quiet = 0; // moves that are ours
    this.map = this.draw();
    this.layer = L.layerGroup().addTo(this.map);
    drawOutline(this.map, box).catch((problem) => console.warn(problem)); // points need no outline
    this.map.on("resize autopanstart", () => { this.ours = true; }); // not the reader's move
    this.map.on("moveend", () => this.onMoved());
  }

  label(name) {
    return this.box.getAttribute(`data-label-${name}`) ?? "";
  }

  draw() {
    const { box } = this;
    const { tiles } = box.dataset;
    const map = L.map(box, {
      zoomControl: false,
      minZoom: 3,
      zoomSnap: tiles ? 1 : 0.5, // pictures are sharp at whole ones alone
      maxZoom: tiles ? 18 : 14, // the outlines say nothing more beyond
      maxBounds: [[-85, -200], [85, 200]],
      scrollWheelZoom: false,
      zoomAnimation: !still,
      fadeAnimation: !still,
      markerZoomAnimation: !still,
      inertia: !still,
    });
    map.fitBounds(FRANCE, { animate: false });
    map.attributionControl.setPrefix(false);
    const titles = { zoomInTitle: this.label("zoom-in"), zoomOutTitle: this.label("zoom-out") };
    L.control.zoom(titles).addTo(map);
    // The wheel scrolls the page until the reader has entered the map.
    box.addEventListener("focusin", () => map.scrollWheelZoom.enable());
    box.addEventListener("focusout", () => map.scrollWheelZoom.disable());
    box.addEventListener("pointerdown", () => { this.usingKeyboard = false; }, true);
    box.addEventListener("keydown", (event) => {
      this.usingKeyboard = true;
      if (event.key === "Escape") map.closePopup();
      if (event.key === " " && event.target.matches(".map-pin, .map-cluster")) {
        event.preventDefault(); // Leaflet knows Enter only; a button obeys the space bar too
        event.target.click();
      }
    }, true);
    if (tiles) {
      box.classList.add("has-tiles");
      L.tileLayer(tiles, { attribution: asHtml(box.dataset.tilesAttribution ?? "") }).addTo(map);
    }
    return map;
  }

  /* Show what an address of the hub's points tells; look at all of it, unless told where. */
  async show(address, { box, at } = {}) {
    this.address = address;
    this.within = box; // what lies outside was not searched
    this.held = null;
    if (at) this.quietly(() => this.map.setView([at[0], at[1]], at[2], { animate: false }));
    else if (box) this.lookAt(box);
    await this.refresh(!at && !box);
  }

  quietly(move) {
    this.quiet += 1;
    try { move(); } finally { this.quiet -= 1; }
  }

  lookAt([west, south, east, north]) {
    const options = { padding: [30, 30], maxZoom: 12, animate: false };
    this.quietly(() => this.map.fitBounds([[south, west], [north, east]], options));
  }

  /* What most of the groups are in: a few far away do not make the rest a dot. */
  everything() {
    const { groups } = this.held;
    const inside = groups.filter(({ lat, lng }) => L.latLngBounds(FRANCE).contains([lat, lng]));
    const most = inside.length * 2 >= groups.length ? inside : groups;
    return most.length ? most.reduce(joined).box : null;
  }

  view() {
    const bounds = this.map.getBounds();
    const within = (value, most) => Math.max(-most, Math.min(most, value));
    return [
      within(bounds.getWest(), 180), within(bounds.getSouth(), 90),
      within(bounds.getEast(), 180), within(bounds.getNorth(), 90),
    ];
  }

  onMoved() {
    const [lat, lng] = Object.values(this.map.getCenter());
    this.box.dataset.at = [lat.toFixed(4), lng.toFixed(4), this.map.getZoom()].join(",");
    if (this.quiet || !this.address) return;
    if (!this.ours) this.hooks.moved?.(this.view());
    this.ours = false;
    this.redraw();
    clearTimeout(this.waiting);
    if (this.isEnough()) return;
    this.waiting = setTimeout(() => this.refresh().catch(this.hooks.failed), WAIT);
  }

  isEnough() {
    const { held } = this;
    if (!held) return false;
    const [west, south, east, north] = common(this.view(), this.within);
    const inside = west >= held.box[0] && south >= held.box[1]
      && east <= held.box[2] && north <= held.box[3];
    // Points are the same at every zoom; groups are not.
    return inside && (held.whole ? this.map.getZoom() >= held.zoom : this.map.getZoom() === held.zoom);
  }

  /* Ask for what is in view, and a little more: by whole tiles, so that readers ask alike. */
  async refresh(everywhere = false) {
    this.asking?.abort();
    const asking = new AbortController();
    this.asking = asking;
    const zoom = this.map.getZoom();
    const box = everywhere ? WORLD : common(this.tiles(zoom), this.within);
    if (box[0] > box[2] || box[1] > box[3]) { // nothing of what was searched is in view
      this.held = { box, zoom, groups: [], whole: false };
      this.redraw();
      return;
    }
    const url = new URL(this.address, location.href);
    if (!everywhere) url.searchParams.set("bbox", box.map((edge) => +edge.toFixed(5)).join(","));
    url.searchParams.set("zoom", Math.round(zoom));
    let answer;
    try {
      answer = await getJson(url, { signal: asking.signal });
    } catch (problem) {
      if (problem.name === "AbortError") return;
      throw problem;
    }
    this.held = { box, zoom, groups: read(answer), whole: !answer.clusters.length };
    const look = everywhere && this.everything();
    if (look) this.lookAt(look);
    this.redraw();
    if (everywhere && !this.isEnough()) await this.refresh();
  }

  tiles(zoom) {
    const step = 360 / 2 ** Math.max(2, Math.min(Math.round(zoom), 12));
    const [west, south, east, north] = this.view();
    return [
      Math.max(-180, Math.floor(west / step) * step), Math.max(-90, Math.floor(south / step) * step),
      Math.min(180, Math.ceil(east / step) * step), Math.min(90, Math.ceil(north / step) * step),
    ];
  }

  /* Put what is near on the screen together; only what has changed is touched. */
  redraw() {
    if (!this.held) return;
    const zoom = this.map.getZoom();
    if (this.held.gathered?.zoom !== zoom) {
      const project = ({ lat, lng }) => this.map.project([lat, lng], zoom);
      this.held.gathered = { zoom, groups: gathered(this.held.groups, project, APART) };
    }
    const shown = this.map.getBounds().pad(0.25);
    const wanted = new Map();
    for (const group of this.held.gathered.groups) {
      if (!shown.contains([group.lat, group.lng])) continue;
      const [space] = group.n === 1 ? group.spaces ?? [] : [];
      const key = space
        ? ["p", space.id, space.state, space.free, space.listed].join("/")
        : ["g", zoom, group.n, group.lat, group.lng].join("/");
      wanted.set(key, group);
    }
    const focused = this.keyOf(document.activeElement);
    for (const [key, mark] of this.marks) {
      if (wanted.has(key)) continue;
      if (mark.isPopupOpen() && this.takePlace(mark, wanted)) continue;
      this.layer.removeLayer(mark);
      this.marks.delete(key);
    }
    for (const [key, group] of wanted) {
      if (this.marks.has(key)) continue;
      const mark = group.n === 1 && group.spaces ? this.pin(group) : this.group(group);
      mark.group = group;
      this.marks.set(key, mark);
      this.layer.addLayer(mark);
    }
    if (focused && !this.marks.has(focused.key)) this.focusNear(focused.group);
    this.point(this.pointedAt);
  }

  /* What somebody reads stays open, also when its state has changed. */
  takePlace(mark, wanted) {
    const [space] = mark.group.spaces ?? [];
    for (const [key, group] of wanted) {
      if (group.n !== 1 || group.spaces?.[0].id !== space?.id) continue;
      for (const [old, each] of this.marks) if (each === mark) this.marks.delete(old);
      mark.group = group;
      mark.setIcon(this.icon(group.spaces[0]));
      this.marks.set(key, mark);
      return true;
    }
    return false;
  }

  keyOf(node) {
    for (const [key, mark] of this.marks) {
      if (node && mark.getElement() === node) return { key, group: mark.group };
    }
    return null;
  }

  /* Zooming into a group removes it; the keyboard goes on from what is nearest to it. */
  focusNear({ lat, lng }) {
    let [best, least] = [null, Infinity];
    for (const mark of this.marks.values()) {
      const away = (mark.group.lat - lat) ** 2 + (mark.group.lng - lng) ** 2;
      if (away < least) [best, least] = [mark, away];
    }
    (best?.getElement() ?? this.box).focus({ preventScroll: true });
  }

  nameOf(space) {
    const state = space.listed ? this.label("listed") : this.label(space.state);
    return [space.name, space.town, state].filter(Boolean).join(" – ");
  }

  icon(space) {
    const className = `map-pin is-${space.listed ? "listed" : space.state}`;
    return new NamedIcon({
      className, iconSize: [32, 32], popupAnchor: [0, -14], label: this.nameOf(space),
    });
  }

  pin(group) {
    const [space] = group.spaces;
    const mark = L.marker([group.lat, group.lng], { icon: this.icon(space) });
    mark.bindPopup(element("div", "map-popup"), { minWidth: 200, maxWidth: 260 });
    mark.on("popupopen", ({ popup }) => {
      this.onPopup(popup, space.id);
      this.fill(mark);
    });
    mark.on("popupclose", () => this.usingKeyboard && mark.getElement()?.focus());
    mark.on("mouseover", () => this.hooks.pointed?.([space.id]));
    mark.on("mouseout", () => this.hooks.pointed?.([]));
    mark.on("add", () => {
      const made = mark.getElement();
      made.addEventListener("focus", () => this.hooks.pointed?.([space.id]));
      made.addEventListener("blur", () => this.hooks.pointed?.([]));
    });
    return mark;
  }

  /* At once what the map knows, then what the list says. */
  async fill(mark) {
    const [space] = mark.group.spaces;
    const popup = mark.getPopup();
    const content = popup.getContent();
    content.replaceChildren(element("strong", "map-popup-name", space.name), element("p", "", space.town));
    popup.update();
    try {
      const card = await this.hooks.card(space.id);
      if (card) content.replaceChildren(card);
    } catch (problem) {
      console.warn(problem);
      content.append(element("p", "soft", this.label("error")));
    }
    popup.update();
    if (this.usingKeyboard && popup.isOpen()) content.querySelector("a")?.focus();
  }

  onPopup(popup, id) {
    const close = popup.getElement().querySelector(".leaflet-popup-close-button");
    close?.setAttribute("aria-label", this.label("close"));
    if (id) this.hooks.opened?.(id);
  }

  group(group) {
    const label = this.label("cluster").replace("{n}", group.n);
    const size = 32 + Math.min(20, Math.round(Math.log10(group.n) * 6));
    const html = element("span", "", String(group.n)).outerHTML;
    const icon = new NamedIcon({ className: "map-cluster", iconSize: [size, size], html, label });
    const mark = L.marker([group.lat, group.lng], { icon });
    mark.on("click keypress", ({ originalEvent }) => {
      if (originalEvent?.type === "keypress" && originalEvent.key !== "Enter") return;
      this.enter(mark);
    });
    mark.on("mouseover", () => this.hooks.pointed?.(group.spaces?.map(({ id }) => id) ?? []));
    mark.on("mouseout", () => this.hooks.pointed?.([]));
    return mark;
  }

  enter(mark) {
    const { box: [west, south, east, north], spaces } = mark.group;
    const deep = this.map.getZoom() >= this.map.getMaxZoom();
    const one = east - west < 1e-5 && north - south < 1e-5;
    if (!deep && !one) {
      const bounds = L.latLngBounds([[south, west], [north, east]]);
      const zoom = Math.min(this.map.getMaxZoom(),
        Math.max(this.map.getZoom() + 1, this.map.getBoundsZoom(bounds, false, L.point(48, 48))));
      this.map.setView(bounds.getCenter(), zoom, { animate: !still });
      return;
    }
    const names = element("ul", "map-popup-names");
    for (const space of spaces?.slice(0, MOST_NAMES) ?? []) {
      const link = element("a", "", space.name);
      link.href = `/spaces/${encodeURIComponent(space.id)}`;
      const item = element("li");
      item.append(link);
      names.append(item);
    }
    if (!spaces || spaces.length > MOST_NAMES) names.append(element("li", "soft", this.label("more")));
    mark.unbindPopup();
    mark.bindPopup(names, { minWidth: 180, maxWidth: 240 }).openPopup();
    this.onPopup(mark.getPopup());
    if (this.usingKeyboard) names.querySelector("a")?.focus();
  }

  /* Show where a space of the list is; null shows none. */
  point(id) {
    this.pointedAt = id;
    for (const mark of this.marks.values()) {
      const here = id && mark.group.spaces?.some((space) => space.id === id);
      mark.getElement()?.classList.toggle("is-pointed-at", Boolean(here));
    }
  }
}
