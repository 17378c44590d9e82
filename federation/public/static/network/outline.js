/* The ground under the spaces where there are no tiles: departments, and communes from near by.
 * Its one text is the data-label-outline-attribution of the box.
 */
const { L, topojson } = globalThis;
const COMMUNES_FROM_ZOOM = 9;

export function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/* Leaflet reads attributions as HTML; ours are plain text. */
export const asHtml = (text) => element("span", "", text).innerHTML;

export async function getJson(url, options) {
  const answer = await fetch(url, options);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return answer.json();
}

export async function drawOutline(map, box) {
  const attribution = asHtml(box.getAttribute("data-label-outline-attribution") ?? "");
  const lines = (topology, className) => {
    const [layer] = Object.values(topology.objects);
    const shapes = topojson.feature(topology, layer);
    return L.geoJSON(shapes, { interactive: false, style: { className }, attribution });
  };
  const departments = lines(await getJson(box.dataset.outline), "map-department").addTo(map);
  departments.bringToBack();
  if (box.dataset.tiles) return;

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
