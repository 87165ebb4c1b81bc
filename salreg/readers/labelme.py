"""LabelMe's JSON, with one file per image."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from salreg.readers.bitmaps import png
from salreg.readers.checked import box, ellipse, line, polygon
from salreg.readers.content import read_json
from salreg.readers.folders import parsed, single_files
from salreg.readers.names import normal
from salreg.readers.problems import BadShape, no_area
from salreg.readers.reading import Reading, Readings
from salreg.readers.regions import Side
from salreg.readers.shapes import Shape, Size


def read_labelme(path: str | Path, labels: Mapping[str, Side], *, strict: bool = False) -> Readings:
    """Read regions by image name from a LabelMe file or a folder of them.

    Every image with a file was looked at. Rectangles (also rotated ones), polygons, circles, lines and masks are drawn; points
    have no area and are skipped.

    Args:
        path: The JSON file, or the folder.
        labels: Which of its labels are ``spurious`` and which ``relevant``; others are ignored.
        strict: Whether a shape without a clear meaning raises an error instead of being skipped, named and counted.

    Raises:
        FileNotFoundError: There is no such file, or no JSON in the folder.
        ValueError: The file is not such JSON, or a wanted label does not occur in it.

    Example:
        >>> import json, os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "003.json")
        >>> _ = open(path, "w").write(json.dumps({"imagePath": "003.jpg", "imageHeight": 2, "imageWidth": 3, "shapes": [
        ...     {"label": "ruler", "shape_type": "rectangle", "points": [[0, 0], [2, 1]]}]}))
        >>> read_labelme(path, {"ruler": "spurious"})["003"].draw((2, 3)).tolist()
        [[[-1, -1, 0], [0, 0, 0]]]
    """
    reading = Reading(path, labels, strict)
    for file, folder, content in parsed(reading, single_files(path, ".json"), _content):
        name = normal(str(content.get("imagePath") or file.stem)).rpartition("/")[2]
        image = reading.image(f"{folder}/{name}", (content.get("imageHeight"), content.get("imageWidth")))
        for number, one in enumerate(content["shapes"]):
            if not isinstance(one, dict):
                reading.skip(image or "", number, "malformed", "it is not an object")
            else:
                reading.mark(image, one.get("label"), number, _shape, one, image and image.size)
    return reading.finish()


def _content(file: Path) -> Any:
    content = read_json(file)
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise ValueError(f"{file} is not a LabelMe JSON file: it has no list 'shapes'.")
    return content


def _shape(one: Mapping[str, Any], size: Size | None) -> Shape:
    kind, points = one.get("shape_type") or "polygon", one.get("points")
    corners = kind == "rectangle" and isinstance(points, list) and len(points) == 4  # as X-AnyLabeling has it
    if kind in ("polygon", "rotation") or corners:
        return polygon(points)
    if kind == "mask":
        (x1, y1), (x2, y2) = line(points).points[[0, -1]].tolist()
        found = png(one.get("mask"), (y1, x1), size)
        if found.size != (y2 - y1 + 1, x2 - x1 + 1):
            raise BadShape(
                "another size", f"its mask has size (H, W) = {found.size}, but its box has {(y2 - y1 + 1, x2 - x1 + 1)}"
            )
        return found
    if kind in ("line", "linestrip"):
        return line(points)
    if kind in ("rectangle", "circle"):
        (x1, y1), (x2, y2) = line(points).points[[0, -1]]
        if kind == "circle":  # its centre, and a point on it
            radius = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
            return ellipse(x1, y1, radius, radius)
        return box(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    raise no_area(kind)
