"""COCO's JSON of instances: boxes, polygons and run-length encoded masks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from salreg.names import nearest
from salreg.readers.checked import corner_box, polygon, runs
from salreg.readers.content import read_json
from salreg.readers.problems import BadShape
from salreg.readers.reading import Reading, Readings
from salreg.readers.regions import ImageMarks, Side
from salreg.readers.shapes import Outline, Shape, Size


def read_coco(path: str | Path, categories: Mapping[str, Side], *, strict: bool = False) -> Readings:
    """Read regions by image name from a COCO file of instances.

    Every image that the file lists was looked at; if it has no annotation, nothing is marked in it.

    Args:
        path: The JSON file.
        categories: Which of its categories are ``spurious`` and which ``relevant``; others are ignored.
        strict: Whether an annotation without a clear meaning raises an error instead of being skipped, named and counted.

    Returns:
        The regions of each listed image by name, in the size that the file states. The segmentation is used if there is one,
        otherwise the box, rotated by CVAT's attribute ``rotation``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not a COCO file, or a wanted category does not occur in it. With ``strict``, an annotation is
            malformed, or belongs to an image or category that the file does not list.

    Example:
        >>> import json, os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "coco.json")
        >>> _ = open(path, "w").write(json.dumps({
        ...     "images": [{"id": 1, "file_name": "003.jpg", "width": 3, "height": 2},
        ...                {"id": 2, "file_name": "004.jpg", "width": 3, "height": 2}],
        ...     "categories": [{"id": 7, "name": "ruler"}],
        ...     "annotations": [{"image_id": 1, "category_id": 7, "bbox": [0, 0, 2, 1]}]}))
        >>> regions = read_coco(path, {"ruler": "spurious"})
        >>> regions["003"].draw((2, 3)).tolist(), regions["004"].draw((2, 3)).tolist()
        ([[[-1, -1, 0], [0, 0, 0]]], [[[0, 0, 0], [0, 0, 0]]])
    """
    reading, content = Reading(path, categories, strict), read_json(path)
    images_of, categories_of, annotations = (_listed(content, key, path) for key in ("images", "categories", "annotations"))
    names = _names(categories_of, path)
    for category in categories:
        if str(category) not in names.values():
            known = f"It has: {', '.join(names.values())}." if names else "It has none."
            raise ValueError(f"{path} has no category {category!r}{nearest(str(category), names.values())}. {known}")
    images: dict[str, ImageMarks | None] = {}
    for number, one in enumerate(images_of):
        if not isinstance(one, dict) or not _id(one.get("id")):
            reading.skip("", "", "malformed", f"entry {number} of its images is invalid")
            continue
        listed = reading.image(one.get("file_name") or one.get("coco_url"), (one.get("height"), one.get("width")))
        first = images.setdefault(_id(one["id"]), listed)
        if first is not listed and first is not None and listed is not None:
            images[_id(one["id"])] = None
            for twice in (first, listed):
                reading.skip(twice, "", "one id twice", f"{first.name!r} and {listed.name!r} have the same id, {one['id']!r}")
    for number, one in enumerate(annotations):
        if not isinstance(one, dict):
            reading.skip("", number, "malformed", "it is not an object")
            continue
        image, category, id = _id(one.get("image_id")), _id(one.get("category_id")), one.get("id", number)
        if image not in images:
            reading.skip("", id, "not listed", f"it belongs to image {one.get('image_id')!r}, which is not listed")
        elif category not in names:
            reading.skip(
                images[image] or "", id, "not listed", f"it belongs to category {one.get('category_id')!r}, which is not listed"
            )
        else:
            reading.mark(images[image], names[category], id, _shape, one, images[image], id, reading)
    return reading.finish(list(names.values()))


def _listed(content: Any, key: str, path: str | Path) -> list[Any]:
    if not isinstance(content, dict) or not isinstance(content.get(key), list):
        raise ValueError(f"{path} is not a COCO file of instances: it has no list {key!r}.")
    return list(content[key])


def _names(categories: list[Any], path: str | Path) -> dict[str, str]:
    """The categories' names by their ids."""
    names: dict[str, str] = {}
    for one in categories:
        if isinstance(one, dict):
            id, name = _id(one.get("id")), str(one.get("name"))
            if names.setdefault(id, name) != name:
                raise ValueError(f"{path} has two categories with the id {one.get('id')!r}: {names[id]!r} and {name!r}.")
    return names


def _id(value: Any) -> str:
    """An id, whether it is a number or its text; empty where it is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() if isinstance(value, (int, str)) and not isinstance(value, bool) else ""


def _shape(one: dict[str, Any], image: ImageMarks, id: Any, reading: Reading) -> Shape:
    found = one.get("segmentation")
    if isinstance(found, dict):
        return run_length_encoded(found, image.size)
    if found and isinstance(found, list):
        rings = _rings(found)
        if rings:
            return _polygons(rings, image, id, reading)
    elif found:
        raise BadShape("malformed", "its segmentation is neither a list nor an object")
    edges = one.get("bbox")
    if edges is None or edges == []:
        raise BadShape("no place", "it has neither a segmentation nor a bbox [x, y, width, height]")
    if not isinstance(edges, list) or len(edges) != 4:
        raise BadShape("malformed", "its bbox is not a list [x, y, width, height]")
    attributes = one.get("attributes")
    rotation = attributes.get("rotation") if isinstance(attributes, dict) else one.get("rotation")
    return corner_box(*edges, rotation=rotation)


def _rings(found: list[Any]) -> list[Any]:
    """The polygons of a segmentation. A list of six numbers or more, or of points, is one polygon; empty ones are none."""
    flat = not any(isinstance(part, (list, dict)) for part in found)
    points = all(isinstance(part, dict) or (isinstance(part, list) and len(part) == 2) for part in found)
    return [found] if flat or points else [part for part in found if part != []]


def _polygons(rings: list[Any], image: ImageMarks, id: Any, reading: Reading) -> Outline:
    """All polygons that are some; the others are named."""
    parts: list[Any] = []
    wrong: list[BadShape] = []
    for ring in rings:
        try:
            parts += polygon(ring).parts
        except BadShape as error:
            wrong.append(error)
    if not parts:
        raise wrong[0]
    for one in wrong:
        reading.skip(image, id, one.kind, f"{one}; its other polygons count")
    return Outline(parts)


def run_length_encoded(found: Mapping[str, Any], stated: Size | None) -> Shape:
    """A mask by COCO's run lengths, compressed if they are text; of the size that is stated, if any is.

    Raises:
        BadShape: It is malformed, of another size, or its runs do not fill it.
    """
    size = found.get("size")
    if not isinstance(size, list) or len(size) != 2 or not all(type(edge) is int and 0 < edge <= 1e6 for edge in size):
        raise BadShape("wrong run lengths", f"its mask's size {size!r} is none")
    height, width = size
    if stated is not None and (height, width) != stated:
        raise BadShape("another size", f"its mask has size (H, W) = {(height, width)}, but its image has {stated}")
    counts = found.get("counts")
    if isinstance(counts, str):
        counts = _decompressed(counts)
    if not isinstance(counts, (list, np.ndarray)):
        raise BadShape("wrong run lengths", "it has no run lengths")
    return runs(counts, (height, width))


def _decompressed(text: str) -> Any:
    """COCO's run lengths from their text: five bits a character, the sixth says that more follow, and from the fourth number on
    the difference to the last but one."""
    try:
        codes = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 48
    except UnicodeEncodeError as error:
        raise BadShape("wrong run lengths", "its run lengths hold characters that COCO does not write") from error
    if not codes.size or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise BadShape("wrong run lengths", "its run lengths hold characters that COCO does not write, or are truncated")
    last = np.flatnonzero((codes & 32) == 0)
    starts = np.concatenate([[0], last[:-1] + 1])
    if (last - starts).max() > 6:
        raise BadShape("wrong run lengths", "a run is too long")
    places = np.arange(len(codes)) - np.repeat(starts, last - starts + 1)
    found = np.add.reduceat((codes & 31) << (5 * places), starts)
    found -= np.where(codes[last] & 16, np.int64(1) << (5 * (last - starts + 1)), 0)
    for begin in (1, 2):
        found[begin::2] = np.cumsum(found[begin::2])
    return found
