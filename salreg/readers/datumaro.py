"""Datumaro's JSON, with one file per subset."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from salreg.readers.checked import corner_box, ellipse, line, numbers, polygon
from salreg.readers.coco import run_length_encoded
from salreg.readers.content import objects, read_json
from salreg.readers.folders import parsed, single_files
from salreg.readers.problems import BadShape, no_area
from salreg.readers.reading import Reading, Readings
from salreg.readers.regions import ImageMarks, Side
from salreg.readers.shapes import Shape


def read_datumaro(path: str | Path, labels: Mapping[str, Side], *, strict: bool = False) -> Readings:
    """Read regions by image name from a Datumaro JSON file, or from the folder ``annotations`` with those of its subsets.

    Every item that a file lists was looked at. Boxes, polygons, ellipses, lines and masks are drawn.

    Args:
        path: The JSON file, or a folder of them.
        labels: Which labels are ``spurious`` and which ``relevant``; others are ignored.
        strict: Whether an annotation without a clear meaning raises an error instead of being skipped, named and counted.

    Raises:
        FileNotFoundError: There is no such file, or no JSON in the folder.
        ValueError: The file is not such JSON, or a wanted label does not occur in it.

    Example:
        >>> import json, os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "default.json")
        >>> _ = open(path, "w").write(json.dumps({"categories": {"label": {"labels": [{"name": "ruler"}]}}, "items": [
        ...     {"id": "003", "image": {"path": "003.jpg", "size": [2, 3]}, "annotations": [
        ...         {"id": 0, "type": "bbox", "label_id": 0, "bbox": [0, 0, 2, 1]}]}]}))
        >>> read_datumaro(path, {"ruler": "spurious"})["003"].draw((2, 3)).tolist()
        [[[-1, -1, 0], [0, 0, 0]]]
    """
    reading, known = Reading(path, labels, strict), set()
    for file, _, content in parsed(reading, single_files(path, ".json"), _content):
        names = _names(content)
        known |= {*names}
        for item in objects(content["items"]):
            media = item.get("image", item.get("media"))
            media = media if isinstance(media, dict) else {}
            size = media.get("size")
            stated = (size[0], size[1]) if isinstance(size, list) and len(size) == 2 else None
            image = reading.image(media.get("path") or item.get("id"), stated, file.stem)
            for number, one in enumerate(objects(item.get("annotations"))):
                label, id = one.get("label_id"), one.get("id", number)
                if one.get("type") in ("label", "caption") or image is None:
                    continue
                if isinstance(label, int) and not 0 <= label < len(names):
                    reading.skip(image, id, "not listed", f"it has the label {label}, which is not listed")
                else:
                    named = names[label] if isinstance(label, int) else ""
                    reading.mark(image, named, id, _shape, one, image)
    return reading.finish(sorted(known))


def _content(file: Path) -> Any:
    content = read_json(file)
    if not isinstance(content, dict) or not isinstance(content.get("items"), list):
        raise ValueError(f"{file} is not a Datumaro JSON file: it has no list 'items'.")
    return content


def _names(content: Any) -> list[str]:
    found = content
    for key in ("categories", "label", "labels"):
        found = found.get(key) if isinstance(found, dict) else None
    return [str(one.get("name")) for one in objects(found)]


def _shape(one: Mapping[str, Any], image: ImageMarks) -> Shape:
    kind, points, attributes = one.get("type"), one.get("points"), one.get("attributes")
    turn = attributes.get("rotation") if isinstance(attributes, dict) else 0
    if kind == "bbox":
        return corner_box(*_four(one.get("bbox")), rotation=turn)
    if kind == "polygon":
        return polygon(points)
    if kind == "polyline":
        return line(points)
    if kind == "ellipse":  # the corners of the box around it
        x1, y1, x2, y2 = numbers(_four(points))
        return ellipse((x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / 2, (y2 - y1) / 2, rotation=turn)
    if kind == "mask" and isinstance(one.get("rle"), dict):
        return run_length_encoded(one["rle"], image.size)
    raise no_area(kind)


def _four(values: Any) -> list[Any]:
    if not isinstance(values, list) or len(values) != 4:
        raise BadShape("malformed", "its place is not a list of four numbers")
    return values
