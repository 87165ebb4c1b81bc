"""The VGG Image Annotator's JSON and CSV."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from salreg.readers.checked import corner_box, ellipse, line, polygon
from salreg.readers.content import objects, read_json, read_table
from salreg.readers.problems import BadShape, no_area
from salreg.readers.reading import Reading, Readings
from salreg.readers.regions import Side
from salreg.readers.shapes import Shape


def read_via(path: str | Path, labels: Mapping[str, Side], *, strict: bool = False) -> Readings:
    """Read regions by image name from the JSON or the CSV of the VGG Image Annotator (VIA 2).

    Every image that the file lists was looked at. A region's labels are the values of its attributes.

    Args:
        path: The file, or a project of VIA's.
        labels: Which labels are ``spurious`` and which ``relevant``; others are ignored.
        strict: Whether a region without a clear meaning raises an error instead of being skipped, named and counted.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: No such file of VIA's, or a label that no region has.

    Example:
        >>> import json, os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "via.json")
        >>> rect = {"name": "rect", "x": 0, "y": 0, "width": 2, "height": 1}
        >>> _ = open(path, "w").write(json.dumps({"003.jpg9": {"filename": "003.jpg", "regions": [
        ...     {"shape_attributes": rect, "region_attributes": {"kind": "ruler"}}]}}))
        >>> read_via(path, {"ruler": "spurious"})["003"].draw((2, 3)).tolist()
        [[[-1, -1, 0], [0, 0, 0]]]
    """
    reading = Reading(path, labels, strict)
    for name, number, place, attributes in _table(path) if Path(path).suffix.lower() == ".csv" else _entries(path):
        image = reading.image(name)
        if place:
            reading.mark(image, _labels(attributes), number, _shape, place)
    return reading.finish()


def _entries(path: str | Path) -> Iterator[tuple[str, int, Any, Any]]:
    content = read_json(path)
    if isinstance(content, dict):
        content = content.get("_via_img_metadata", content)
    if not isinstance(content, dict) or any(not isinstance(one, dict) or "filename" not in one for one in content.values()):
        raise ValueError(
            f"{path} is not a JSON file of the VGG Image Annotator: each of its entries has a filename and regions."
        )
    for one in content.values():
        yield one["filename"], 0, None, None
        regions = one.get("regions")
        for number, region in enumerate(objects(list(regions.values()) if isinstance(regions, dict) else regions)):
            yield one["filename"], number, region.get("shape_attributes") or "none", region.get("region_attributes")


def _table(path: str | Path) -> Iterator[tuple[str, int, Any, Any]]:
    columns, rows = read_table(path)
    if not {"filename", "region_shape_attributes", "region_attributes"} <= {*columns}:
        raise ValueError(f"{path} is not a CSV of the VGG Image Annotator: it has no column region_shape_attributes.")
    for number, row in rows:
        place, attributes = (_json(row.get(key, "")) for key in ("region_shape_attributes", "region_attributes"))
        yield row["filename"], number, place, attributes


def _json(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except (ValueError, RecursionError):
        return text


def _labels(attributes: Any) -> list[str]:
    """The values of a region's attributes; of a choice of several, those that were chosen."""
    values = attributes.values() if isinstance(attributes, dict) else ()
    return [str(one) for value in values for one in (_chosen(value) if isinstance(value, dict) else [value])]


def _chosen(value: Mapping[str, Any]) -> list[str]:
    return [label for label, chosen in value.items() if chosen in (True, "true")]


def _shape(place: Any) -> Shape:
    if not isinstance(place, dict):
        raise BadShape("malformed", "its shape is not an object")
    kind, get = place.get("name"), place.get
    if kind == "rect":
        return corner_box(get("x"), get("y"), get("width"), get("height"))
    if kind == "circle":
        return ellipse(get("cx"), get("cy"), get("r"), get("r"))
    if kind == "ellipse":  # its angle is in radians
        theta = get("theta", 0)
        turn = 180 / 3.141592653589793 * theta if isinstance(theta, (int, float)) else 0
        return ellipse(get("cx"), get("cy"), get("rx"), get("ry"), rotation=turn)
    if kind in ("polygon", "polyline"):
        x, y = get("all_points_x"), get("all_points_y")
        if not isinstance(x, list) or not isinstance(y, list) or len(x) != len(y):
            raise BadShape("malformed", "its points have not as many x as y")
        return (polygon if kind == "polygon" else line)(list(zip(x, y, strict=True)))
    raise no_area(kind)
