"""QuPath's GeoJSON, with one file per slide."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from salreg.readers.checked import line, ring_of
from salreg.readers.content import read_json
from salreg.readers.folders import parsed, single_files
from salreg.readers.problems import BadShape, no_area
from salreg.readers.reading import Reading, Readings
from salreg.readers.regions import Side
from salreg.readers.shapes import Outline, Shape


def read_qupath(path: str | Path, labels: Mapping[str, Side], *, strict: bool = False) -> Readings:
    """Read regions by image name from a QuPath GeoJSON file or a folder of them.

    The file does not name its image, so its own name has to be the image's; its coordinates are pixels of the whole slide.
    Every image with a file was looked at. Polygons, with their holes, and lines are drawn, and so are the polygons of a
    collection; points have no area and are skipped.

    Args:
        path: The GeoJSON file, or the folder.
        labels: Which classifications are ``spurious`` and which ``relevant``; others are ignored.
        strict: Whether an object without a clear meaning raises an error instead of being skipped, named and counted.

    Raises:
        FileNotFoundError: There is no such file, or no GeoJSON in the folder.
        ValueError: The file is not such JSON, or a wanted classification does not occur in it.

    Example:
        >>> import json, os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "003.geojson")
        >>> _ = open(path, "w").write(json.dumps([{"type": "Feature", "properties": {"classification": {"name": "pen"}},
        ...     "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [2, 0], [2, 1], [0, 1], [0, 0]]]}}]))
        >>> read_qupath(path, {"pen": "spurious"})["003"].draw((2, 3)).tolist()
        [[[-1, -1, 0], [0, 0, 0]]]
    """
    reading = Reading(path, labels, strict)
    suffix = ".geojson" if Path(path).is_dir() and any(Path(path).rglob("*.geojson")) else ".json"
    for file, folder, features in parsed(reading, single_files(path, suffix), _features):
        image = reading.image(f"{folder}/{file.stem}")
        for number, one in enumerate(features):
            reading.mark(image, _label(one), one.get("id", number), _shape, one.get("geometry"))
    return reading.finish()


def _features(file: Path) -> list[dict[str, Any]]:
    content = read_json(file)
    features = content.get("features", [content]) if isinstance(content, dict) else content
    if not isinstance(features, list) or any(not isinstance(one, dict) or one.get("type") != "Feature" for one in features):
        raise ValueError(f"{file} is not a QuPath GeoJSON file: it holds something other than features.")
    return features


def _label(one: Mapping[str, Any]) -> str:
    properties = one.get("properties")
    found = properties.get("classification") if isinstance(properties, dict) else None
    if isinstance(found, dict) and isinstance(found.get("names"), list):
        return ": ".join(map(str, found["names"]))  # as QuPath writes derived classes in one name
    return str(found.get("name", "")) if isinstance(found, dict) else str(found or "")


def _shape(geometry: Any) -> Shape:
    if not isinstance(geometry, dict):
        raise BadShape("no place", "it has no geometry")
    kind, places = geometry.get("type"), geometry.get("coordinates")
    if kind == "GeometryCollection":
        return _collected(geometry.get("geometries"))
    if not isinstance(places, list):
        raise BadShape("malformed", "its geometry has no coordinates")
    if kind == "LineString":
        return line(places)
    if kind in ("Polygon", "MultiPolygon"):
        parts = [places] if kind == "Polygon" else places
        if not parts or any(not isinstance(part, list) or not part for part in parts):
            raise BadShape("too few corners", "a polygon has no corners")
        return Outline([[ring_of(ring) for ring in part] for part in parts])
    raise no_area(kind, "a geometry")


def _collected(geometries: Any) -> Shape:
    """The areas of a collection as one shape; its lines and points have none."""
    shapes = [_shape(one) for one in geometries or [] if isinstance(one, dict) and "Polygon" in str(one.get("type"))]
    rings = [part for shape in shapes if isinstance(shape, Outline) for part in shape.parts]
    if not rings:
        raise no_area("GeometryCollection", "a geometry")
    return Outline(rings)
