/* The pin of a space: what is clicked, dragged or moved by the arrow keys is written in the two
 * fields of degrees, and what is typed there moves the pin. Without it the fields do it alone. */
const { L, topojson } = globalThis;
const box = document.getElementById("pin");
const [latitude, longitude] = ["latitude", "longitude"].map((id) => document.getElementById(id));
const FRANCE = [[41.3, -5.2], [51.1, 9.6]];
const COMMUNES_FROM_ZOOM = 9;
const PIXELS = 8; // that an arrow key moves the pin

const label = (name) => box.getAttribute(`data-label-${name}`) ?? "";

function written() {
  const [lat, lng] = [latitude, longitude].map((field) => Number.parseFloat(field.value.replace(",", ".")));
  return Number.isFinite(lat) && Number.isFinite(lng) ? L.latLng(lat, lng) : null;
}

function asText(text) {
  const made = document.createElement("span");
  made.textContent = text;
  return made.innerHTML;
}

async function outline(map, url, className) {
  const answer = await fetch(url);
  const topology = await answer.json();
  const [layer] = Object.values(topology.objects);
  return L.geoJSON(topojson.feature(topology, layer), {
    interactive: false,
    style: { className },
    attribution: asText(label("outline-attribution")),
  }).addTo(map);
}

async function drawCommunes(map, departments) {
  const waiting = new Map();
  departments.eachLayer((shape) => {
    if (box.dataset.communeCodes.split(" ").includes(shape.feature.id)) {
      waiting.set(shape.feature.id, shape.getBounds());
    }
  });
  const update = () => {
    if (map.getZoom() < COMMUNES_FROM_ZOOM) return;
    for (const [code, bounds] of waiting) {
      if (!map.getBounds().intersects(bounds)) continue;
      waiting.delete(code);
      outline(map, box.dataset.communes.replace("{code}", code), "pin-outline is-commune");
    }
  };
  map.on("moveend", update);
  update();
}

function start() {
  box.hidden = false;
  document.getElementById("pin-hint").hidden = false;
  const map = L.map(box, { zoomControl: false, scrollWheelZoom: false, keyboard: false, maxZoom: 18 });
  L.control.zoom({ zoomInTitle: label("zoom-in"), zoomOutTitle: label("zoom-out") }).addTo(map);
  map.attributionControl.setPrefix(false);
  if (box.dataset.tiles) {
    L.tileLayer(box.dataset.tiles, { attribution: asText(box.dataset.tilesAttribution) }).addTo(map);
  }
  const icon = L.divIcon({ className: "sheet-pin", iconSize: [28, 28] });
  const pin = L.marker(written() ?? [46.6, 2.4], { icon, draggable: true, keyboard: true, title: label("pin"), alt: label("pin") });
  const place = (where) => {
    pin.setLatLng(where).addTo(map);
    pin.getElement().setAttribute("aria-label", label("pin"));
    [latitude.value, longitude.value] = [where.lat.toFixed(5), where.lng.toFixed(5)];
  };
  if (written()) {
    map.setView(written(), 12);
    pin.addTo(map);
    pin.getElement().setAttribute("aria-label", label("pin"));
  } else {
    map.fitBounds(FRANCE);
  }
  map.on("click", ({ latlng }) => place(latlng));
  pin.on("dragend", () => place(pin.getLatLng()));
  box.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [0, -PIXELS], ArrowDown: [0, PIXELS], ArrowLeft: [-PIXELS, 0], ArrowRight: [PIXELS, 0] }[event.key];
    if (!step || event.target !== pin.getElement()) return;
    event.preventDefault();
    place(map.containerPointToLatLng(map.latLngToContainerPoint(pin.getLatLng()).add(step)));
    map.panInside(pin.getLatLng(), { padding: [40, 40] });
  });
  for (const field of [latitude, longitude]) {
    field.addEventListener("change", () => {
      if (!written()) return;
      pin.setLatLng(written()).addTo(map);
      map.setView(written(), Math.max(map.getZoom(), 12));
    });
  }
  outline(map, box.dataset.outline, "pin-outline").then((found) => { found.bringToBack(); return drawCommunes(map, found); });
}

if (L && topojson) start();
