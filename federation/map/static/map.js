/* The public map. Everything it says comes from the page's data-label-* attributes; without it
 * the list of spaces beside the map says the same.
 *
 * Labels: map, open, closed, unknown, places-free, places-unknown, as-of, link, cluster ("{n}"),
 * close, zoom-in, zoom-out, outline-attribution, error.
 */
const { L, topojson } = globalThis;
const box = document.getElementById("map");
const list = document.getElementById("space-list");
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

const COMMUNES_FROM_ZOOM = 9;
const FRANCE = [[41.3, -5.2], [51.1, 9.6]];
const markers = new Map(); // space id -> marker
let usingKeyboard = false;

const label = (name) => box.getAttribute(`data-label-${name}`) ?? "";

function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

async function getJson(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return answer.json();
}

/* Leaflet reads attributions as HTML; ours are plain text. */
const asHtml = (text) => element("span", "", text).innerHTML;

/* A div marker is a button to assistive technology only once it has a name. */
const NamedIcon = L?.DivIcon.extend({
  createIcon(old) {
    const made = L.DivIcon.prototype.createIcon.call(this, old);
    made.setAttribute("aria-label", this.options.label);
    made.title = this.options.label;
    return made;
  },
});

function drawMap() {
  const tiles = box.dataset.tiles;
  const map = L.map(box, {
    zoomControl: false,
    minZoom: 4,
    maxZoom: tiles ? 18 : 14, // the outlines say nothing more beyond
    scrollWheelZoom: false,
    zoomAnimation: !still,
    fadeAnimation: !still,
    markerZoomAnimation: !still,
    inertia: !still,
  });
  map.fitBounds(FRANCE, { animate: false });
  map.attributionControl.setPrefix(false);
  L.control.zoom({ zoomInTitle: label("zoom-in"), zoomOutTitle: label("zoom-out") }).addTo(map);
  if (label("map")) {
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", label("map"));
  }
  // The wheel scrolls the page until the reader has entered the map.
  box.addEventListener("focusin", () => map.scrollWheelZoom.enable());
  box.addEventListener("focusout", () => map.scrollWheelZoom.disable());
  box.addEventListener("pointerdown", () => { usingKeyboard = false; }, true);
  box.addEventListener("keydown", (event) => {
    usingKeyboard = true;
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

function lines(topology, className) {
  const [layer] = Object.values(topology.objects);
  return L.geoJSON(topojson.feature(topology, layer), {
    interactive: false,
    style: { className },
    attribution: asHtml(label("outline-attribution")),
  });
}

async function drawOutline(map) {
  const departments = lines(await getJson(box.dataset.outline), "map-department").addTo(map);
  departments.bringToBack();

  const waiting = new Map(); // department code -> its bounds, until its file is asked for
  const codes = (box.dataset.communeCodes ?? "").split(/\s+/);
  departments.eachLayer((shape) => {
    if (codes.includes(shape.feature.id)) waiting.set(shape.feature.id, shape.getBounds());
  });
  const communes = L.layerGroup();

  function update() {
    const near = map.getZoom() >= COMMUNES_FROM_ZOOM;
    if (near !== map.hasLayer(communes)) map[near ? "addLayer" : "removeLayer"](communes);
    if (!near) return;
    for (const [code, bounds] of waiting) {
      if (!map.getBounds().intersects(bounds)) continue;
      waiting.delete(code);
      getJson(box.dataset.communes.replace("{code}", encodeURIComponent(code)))
        .then((topology) => communes.addLayer(lines(topology, "map-commune")))
        .catch((problem) => console.warn(problem)); // an ornament: the map does without
    }
  }
  map.on("moveend", update);
  update();
}

const stateOf = ({ open }) => (open === true ? "open" : open === false ? "closed" : "unknown");

function popupFor(space) {
  const content = element("div", "map-popup");
  const state = stateOf(space);
  const places = space.guest_places_free ?? label("places-unknown");
  content.append(
    element("strong", "map-popup-name", space.name),
    element("p", "map-popup-town", space.town ?? ""),
    element("p", `map-popup-state is-${state}`, label(state)),
    element("p", "", `${label("places-free")} ${places}`),
  );
  const instant = new Date(space.as_of ?? NaN);
  if (!Number.isNaN(instant.valueOf())) {
    const format = { dateStyle: "medium", timeStyle: "short" };
    const time = element("time", "", instant.toLocaleString(document.documentElement.lang, format));
    time.dateTime = space.as_of;
    const line = element("p", "map-popup-as-of", `${label("as-of")} `);
    line.append(time);
    content.append(line);
  }
  const link = element("a", "map-popup-link", label("link"));
  link.href = space.url;
  if (/^https?:$/.test(link.protocol)) content.append(link);
  return content;
}

const itemOf = (id) => list?.querySelector(`[data-space="${CSS.escape(id)}"]`);

function isBesideMap(item) {
  const [one, other] = [item.parentElement.getBoundingClientRect(), box.getBoundingClientRect()];
  return one.left >= other.right || one.right <= other.left;
}

function markItem(id) {
  list?.querySelectorAll("[aria-current]").forEach((item) => item.removeAttribute("aria-current"));
  const item = itemOf(id);
  if (!item) return;
  item.setAttribute("aria-current", "true");
  // Below the map, scrolling to the item would take the map and its popup out of sight.
  if (isBesideMap(item)) {
    item.scrollIntoView({ block: "nearest", behavior: still ? "auto" : "smooth" });
  }
}

function markerFor({ geometry, properties: space }) {
  const state = stateOf(space);
  const name = [space.name, space.town, label(state)].filter(Boolean).join(" – ");
  const icon = new NamedIcon({
    className: `map-pin is-${state}`, iconSize: [32, 32], popupAnchor: [0, -14], label: name,
  });
  const [longitude, latitude] = geometry.coordinates;
  const marker = L.marker([latitude, longitude], { icon, title: name, alt: name });
  marker.bindPopup(() => popupFor(space), { minWidth: 180, maxWidth: 240 });
  marker.on("popupopen", ({ popup }) => {
    const shown = popup.getElement();
    shown.querySelector(".leaflet-popup-close-button")?.setAttribute("aria-label", label("close"));
    if (usingKeyboard) shown.querySelector(".map-popup-link")?.focus();
    markItem(space.id);
  });
  marker.on("popupclose", () => usingKeyboard && marker.getElement()?.focus());
  markers.set(space.id, marker);
  return marker;
}

function clusterIcon(cluster) {
  const count = cluster.getChildCount();
  const html = element("span", "", String(count));
  const named = label("cluster").replace("{n}", count);
  return new NamedIcon({ className: "map-cluster", iconSize: [40, 40], html, label: named });
}

/* Zooming into a cluster removes it; the keyboard goes on from the first of its points. */
function keepFocus(clusters) {
  let entered = null;
  clusters.on("clusterclick clusterkeypress", ({ layer }) => {
    entered = usingKeyboard ? layer.getAllChildMarkers()[0] : null;
  });
  clusters.on("animationend spiderfied", () => {
    if (entered) clusters.getVisibleParent(entered)?.getElement()?.focus();
    entered = null;
  });
}

function followList(clusters) {
  const unmark = () => {
    box.querySelectorAll(".is-pointed-at").forEach((pin) => pin.classList.remove("is-pointed-at"));
  };
  const mark = (event) => {
    unmark();
    const marker = markers.get(event.target.closest("[data-space]")?.dataset.space);
    if (marker) clusters.getVisibleParent(marker)?.getElement()?.classList.add("is-pointed-at");
  };
  list?.addEventListener("mouseover", mark);
  list?.addEventListener("focusin", mark);
  list?.addEventListener("mouseleave", unmark);
  list?.addEventListener("focusout", unmark);
}

async function drawSpaces(map) {
  const { features } = await getJson(box.dataset.geojson);
  const clusters = L.markerClusterGroup({
    animate: !still,
    maxClusterRadius: 44,
    showCoverageOnHover: false,
    iconCreateFunction: clusterIcon,
    spiderLegPolylineOptions: { className: "map-spider-leg" },
  });
  clusters.addLayers(features.filter((feature) => feature.geometry).map(markerFor));
  map.addLayer(clusters);
  if (markers.size) {
    map.fitBounds(clusters.getBounds(), { padding: [36, 36], maxZoom: 12, animate: false });
  }
  keepFocus(clusters);
  followList(clusters);
}

function showError(problem) {
  console.error(problem);
  const message = element("p", "map-error", label("error"));
  message.setAttribute("role", "alert");
  box.append(message);
}

try {
  const map = drawMap();
  drawOutline(map).catch((problem) => console.warn(problem)); // points need no outline
  drawSpaces(map).catch(showError);
} catch (problem) {
  showError(problem);
}
