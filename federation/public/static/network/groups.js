/* What is drawn as one mark: a space, or several near each other. Boxes are [west, south, east, north]. */
export const WORLD = [-180, -90, 180, 90];
const COLUMNS = ["id", "name", "town", "lat", "lng", "state", "free", "reciprocity", "listed"];

/* What the hub tells, as groups: how many, where in the middle, the box, and which, if known. */
export function read({ points, clusters }) {
  const ones = points.map((row) => {
    const space = Object.fromEntries(COLUMNS.map((name, n) => [name, row[n]]));
    const { lat, lng } = space;
    return { n: 1, lat, lng, box: [lng, lat, lng, lat], spaces: [space] };
  });
  const many = clusters.map(([n, lat, lng, box]) => ({ n, lat, lng, box, spaces: null }));
  return [...ones, ...many];
}

/* What two boxes have in common; one that is missing holds all. */
export function common(one, other) {
  if (!other) return one;
  return [
    Math.max(one[0], other[0]), Math.max(one[1], other[1]),
    Math.min(one[2], other[2]), Math.min(one[3], other[3]),
  ];
}

/* Two groups as one, where the first is. */
export function joined(one, other) {
  return {
    ...one,
    n: one.n + other.n,
    box: [
      Math.min(one.box[0], other.box[0]), Math.min(one.box[1], other.box[1]),
      Math.max(one.box[2], other.box[2]), Math.max(one.box[3], other.box[3]),
    ],
    spaces: one.spaces && other.spaces && one.spaces.concat(other.spaces),
  };
}

/* Put together what is nearer than that many pixels, larger groups first; project gives pixels. */
export function gathered(groups, project, pixels) {
  const placed = new Map(); // "column/row" of squares of that size -> what stands in it
  const around = [-1, 0, 1];
  for (const group of [...groups].sort((one, other) => other.n - one.n)) {
    const { x, y } = project(group);
    const [column, row] = [Math.floor(x / pixels), Math.floor(y / pixels)];
    const near = around.flatMap((dx) => around.flatMap((dy) => (
      placed.get(`${column + dx}/${row + dy}`) ?? []
    ))).find((mark) => Math.hypot(mark.x - x, mark.y - y) < pixels);
    if (near) {
      near.group = joined(near.group, group);
      continue;
    }
    const key = `${column}/${row}`;
    placed.set(key, [...(placed.get(key) ?? []), { x, y, group }]);
  }
  return [...placed.values()].flat().map(({ group }) => group);
}
