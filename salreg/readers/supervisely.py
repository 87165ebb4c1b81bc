"""Supervisely's JSON, a file for each image."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from salreg.readers.bitmaps import png
from salreg.readers.checked import box, line, numbers, polygon
from salreg.readers.content import read_json
from salreg.readers.folders import parsed, single_files
from salreg.readers.problems import BadShape, no_area
from salreg.readers.reading import Reading, Readings
from salreg.readers.regions import ImageMarks, Side
from salreg.readers.shapes import Outline, Runs, Shape


def read_supervisely(path: str | Path, labels: Mapping[str, Side], *, strict: bool = False) -> Readings:
    """Read regions by image name from a file of Supervisely's or a folder of them, as a whole project.

    Every image with a file was looked at; ``ds/ann/003.jpg.json`` belongs to ``ds/img/003.jpg``. As in Supervisely's own kit,
    rectangles of whole numbers include their last row and column. Points and skeletons say no area.

    Args:
        path: The JSON file, or the folder.
        labels: Which classes are ``spurious`` and which ``relevant``; others are ignored.
        strict: Whether an object without a clear meaning raises an error instead of being skipped, named and counted.

    Raises:
        FileNotFoundError: There is no such file, or no JSON in the folder.
        ValueError: No such JSON, or a class that no object has.

    Example:
        >>> import json, os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "003.jpg.json")
        >>> _ = open(path, "w").write(json.dumps({"size": {"height": 2, "width": 3}, "objects": [{"classTitle": "ruler",
        ...     "geometryType": "rectangle", "points": {"exterior": [[0, 0], [1, 0]], "interior": []}}]}))
        >>> read_supervisely(path, {"ruler": "spurious"})["003"].draw((2, 3)).tolist()
        [[[-1, -1, 0], [0, 0, 0]]]
    """
    reading, files = Reading(path, labels, strict), single_files(path, ".json")
    of_images = [one for one in files if one[0].parent.name == "ann"] or [one for one in files if one[0].name != "meta.json"]
    for file, folder, content in parsed(reading, of_images, _content):
        size = content["size"]
        beside = "/".join("img" if part == "ann" else part for part in folder.split("/"))
        # A project's folders need not be those of the images: a slash before them says so.
        image = reading.image(f"/{beside}/{file.stem}", (size.get("height"), size.get("width")))
        for number, one in enumerate(content["objects"]):
            if not isinstance(one, dict):
                reading.skip(image or "", number, "malformed", "it is not an object")
            elif image is not None:
                reading.mark(image, one.get("classTitle"), one.get("id", number), _shape, one, image)
    return reading.finish()


def _content(file: Path) -> Any:
    content = read_json(file)
    size = content.get("size") if isinstance(content, dict) else None
    if not isinstance(size, dict) or not isinstance(content.get("objects"), list):
        raise ValueError(f"{file} is not a Supervisely JSON file: it has no size and no list 'objects'.")
    return content


def _shape(one: Mapping[str, Any], image: ImageMarks) -> Shape:
    kind = one.get("geometryType", one.get("shape"))
    if kind == "bitmap":
        return _bitmap(one.get("bitmap"), image)
    if kind == "multipolygon":
        parts = one.get("parts")
        if not isinstance(parts, list) or not parts:
            raise BadShape("too few corners", "it has no parts")
        return Outline([part for given in parts for part in _outline(given).parts])
    if kind == "polygon":
        return _outline(one.get("points"))
    if kind == "line":
        return line(_exterior(one.get("points")))
    if kind in ("rectangle", "oriented_bbox"):
        points = one.get("points")
        (x1, y1), (x2, y2) = line(points if kind == "oriented_bbox" else _exterior(points)).points[[0, -1]].tolist()
        left, right, top, bottom = min(x1, x2), max(x1, x2), min(y1, y2), max(y1, y2)
        last = int(all(edge.is_integer() for edge in (left, right, top, bottom)))
        (turn,) = numbers((one.get("angle", 0) or 0,))  # clockwise, in radians
        return box(left, top, right + last, bottom + last, rotation=math.degrees(turn))
    raise no_area(kind)


def _exterior(points: Any) -> Any:
    if not isinstance(points, dict):
        raise BadShape("no place", "it has no points")
    return points.get("exterior")


def _outline(points: Any) -> Outline:
    holes = points.get("interior") if isinstance(points, dict) else None
    return polygon(_exterior(points), *(holes if isinstance(holes, list) else ()))


def _bitmap(found: Any, image: ImageMarks) -> Runs:
    if not isinstance(found, dict) or not isinstance(found.get("origin"), list) or len(found["origin"]) != 2:
        raise BadShape("malformed", "its bitmap has no origin")
    left, top = found["origin"]
    return png(found.get("data"), (top, left), image.size)
