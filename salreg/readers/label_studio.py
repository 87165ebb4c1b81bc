"""Label Studio's JSON export: brush strokes, rectangles, ellipses and polygons."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from PIL import Image

from salreg.readers.drawing import Painted, check_labels, polygon, rectangle
from salreg.readers.regions import Regions, Side, check_sides, image_name

_SHAPES = ("rectangle", "ellipse", "polygon", "brush")
_CORNERS = 64  # of the polygon that an ellipse is drawn as


class _Strokes(Painted):
    """Coordinates are percentages of the image's width and height; rotations, in degrees, go clockwise."""

    __slots__ = ()

    def paint(self, canvas: Image.Image, shape: Any) -> None:
        width, height = canvas.size
        if "rle" in shape:
            canvas.paste(1, mask=Image.fromarray(_stroke(shape["rle"], height, width)))
        elif "width" in shape and not shape.get("rotation"):
            left, top = shape["x"] * width / 100, shape["y"] * height / 100
            right, bottom = left + shape["width"] * width / 100, top + shape["height"] * height / 100
            # What is a hair over a pixel's edge is rounding.
            rectangle(canvas, left + 1e-6, top + 1e-6, right - 1e-6, bottom - 1e-6)
        else:
            polygon(canvas, [(x, y) for x, y in _outline(shape, width, height)])


def read_label_studio(path: str | Path, labels: Mapping[str, Side]) -> dict[str, Regions]:
    """Regions by the names of their images, from Label Studio's "JSON" export (not "JSON-MIN").

    All annotations of a task that were not cancelled count; predictions do not. A task with such an annotation was looked at:
    where its result is empty, or has other labels only, nothing is marked. An image's name is what its address says: the path
    behind ``?d=`` of local storage, the path of an ``s3://`` or ``https://`` address, and for uploads the file's own name,
    without the eight characters and the dash that Label Studio puts before it.

    Args:
        path: The JSON file.
        labels: Which of its labels are ``spurious`` and which ``relevant``; others are passed over.

    Returns:
        The regions of each image that was looked at by name, in the size that the file states; it states none where nothing
        is marked. Drawing raises a ``ValueError`` for a shape that is malformed, or where a spurious region overlaps a
        relevant one.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: No such export, a task without an image, a rotated image, an address that leaves its root, or a label that
            no shape has.

    Example:
        >>> import json, os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "export.json")
        >>> _ = open(path, "w").write(json.dumps([
        ...     {"data": {"image": "/data/upload/1/0a1b2c3d-003.jpg"}, "annotations": [
        ...         {"result": [{"type": "rectanglelabels", "original_width": 3, "original_height": 2, "value":
        ...             {"x": 0, "y": 0, "width": 200 / 3, "height": 50, "rectanglelabels": ["ruler"]}}]}]},
        ...     {"data": {"image": "/data/upload/1/0a1b2c3d-004.jpg"}, "annotations": [{"result": []}]},
        ...     {"data": {"image": "/data/upload/1/0a1b2c3d-005.jpg"}, "annotations": []}]))
        >>> regions = read_label_studio(path, {"ruler": "spurious"})
        >>> regions["003"].draw((2, 3)).tolist(), regions["004"].draw((2, 3)).tolist(), "005" in regions
        ([[[-1, -1, 0], [0, 0, 0]]], [[[0, 0, 0], [0, 0, 0]]], False)
    """
    check_sides(labels)
    found: dict[str, _Strokes] = {}
    seen: set[str] = set()
    try:
        for number, task in enumerate(json.loads(Path(path).read_text("utf-8"))):
            where = f"{path}, task {task.get('id', number)}"
            finished = [made for made in task["annotations"] if not made.get("was_cancelled")]
            if not finished:
                continue
            name = image_name(_file_of(task["data"], where), where)
            shapes = found.setdefault(name, _Strokes(f"{where} ({name!r})", None))
            for result in (one for made in finished for one in made["result"]):
                kind = str(result["type"]).removesuffix("labels")
                if kind not in _SHAPES:
                    continue
                named = set(result["value"].get(result["type"], ()))
                seen |= named
                sides = {labels[name] for name in named if name in labels}
                if sides and result.get("image_rotation"):
                    raise ValueError(f"{where}: its image was rotated by {result['image_rotation']} degrees. Rotate the file.")
                for side in sides:
                    shapes.size = shapes.size or (result["original_height"], result["original_width"])
                    shapes.marks.setdefault(side, []).append(result["value"])
    except (AttributeError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path} is no JSON export of Label Studio (JSON-MIN is another one): {type(error).__name__} {error}."
        ) from error
    check_labels(labels, seen, path)
    return dict(found)


def _file_of(data: Mapping[str, Any], where: str) -> str:
    """The path of a task's image, from the first of its fields that is the address of one."""
    addresses = [value for value in data.values() if isinstance(value, str) and "." in value.rpartition("/")[2]]
    if not addresses:
        raise ValueError(f"{where} has no address of an image among its data.")
    parts = urlsplit(addresses[0])
    local = parse_qs(parts.query).get("d")
    if local:
        return local[0].lstrip("/")
    written = unquote(parts.path).lstrip("/")
    upload = re.fullmatch(r"data/upload/(?:\d+/)?(?:[0-9a-f]{8}-)?([^/]+)", written)
    return upload[1] if upload else written


def _outline(shape: Mapping[str, Any], width: int, height: int) -> Any:
    """The corners of a shape ``(N, 2)``, in pixels."""
    to_pixels = np.array([width, height]) / 100
    if "points" in shape:
        return np.array(shape["points"], float) * to_pixels
    pivot = np.array([shape["x"], shape["y"]], float) * to_pixels
    if "radiusX" in shape:
        angles = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
        corners = np.stack([np.cos(angles), np.sin(angles)], 1) * [shape["radiusX"], shape["radiusY"]] * to_pixels
    else:
        corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * [shape["width"], shape["height"]] * to_pixels
    turn = math.radians(shape.get("rotation", 0))
    return corners @ [[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]] + pivot


def _stroke(values: list[int], height: int, width: int) -> Any:
    """Where a brush stroke painted: booleans ``(H, W)``.

    Bits, the highest first: how many bytes the RGBA picture has (32), the size of a value less 1 (5), four sizes of lengths
    less 1 (4 each); then blocks: whether one value repeats (1), which size its length has (2), the length less 1, and that
    value or as many values.
    """
    bits = np.unpackbits(np.array(values, np.uint8))
    place = 0

    def number(size: int) -> int:
        nonlocal place
        place += size
        if place > len(bits):
            raise ValueError("a brush stroke is cut off.")
        return int("".join(map(str, bits[place - size : place])), 2)

    total, word = number(32), number(5) + 1
    sizes = [number(4) + 1 for _ in range(4)]
    if total != 4 * height * width or word != 8:
        raise ValueError(f"a brush stroke has {total} values of {word} bits, not {4 * height * width} of 8.")
    parts, filled = [], 0
    while filled < total:
        repeats, length = number(1), number(sizes[number(2)]) + 1
        if repeats:
            parts.append(np.full(length, number(word), np.uint8))
        else:
            place += length * word
            parts.append(np.packbits(bits[place - length * word : place]))
        filled += length
    picture = np.concatenate(parts)
    if picture.size != total:
        raise ValueError(f"a brush stroke's blocks hold {picture.size} values, not {total}.")
    return picture.reshape(height, width, 4)[..., 3] > 0  # the opacity
