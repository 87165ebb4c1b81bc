"""Label Studio's JSON export: brush strokes, rectangles, ellipses, polygons and lines."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from salreg.readers.checked import ellipse, line, numbers, ring_of, turned
from salreg.readers.content import objects, read_json
from salreg.readers.label_studio_address import addresses
from salreg.readers.label_studio_brush import bitmask, brush
from salreg.readers.problems import BadShape, no_area
from salreg.readers.reading import Reading, Readings
from salreg.readers.regions import ImageMarks, Side
from salreg.readers.shapes import Outline, Shape

_LABELLED = (
    "rectangle",
    "ellipse",
    "polygon",
    "brush",
    "bitmask",
    "vector",
    "keypoint",
    "magicwand",
    "custom",
    "videorectangle",
)


def read_label_studio(
    path: str | Path, labels: Mapping[str, Side], *, fields: Mapping[str, str] | None = None, strict: bool = False
) -> Readings:
    """Read regions by image name from Label Studio's "JSON" export (not "JSON-MIN").

    All annotations of a task that were not cancelled count; predictions do not. A task with such an annotation was looked at:
    if its result is empty or has only other labels, nothing is marked. An image's name comes from its address: the path after
    ``?d=`` for local storage, the path of an ``s3://`` or ``https://`` address, and for uploads the file's name without the
    eight characters and the dash that Label Studio puts before it.

    Args:
        path: The JSON file.
        labels: Which of its labels are ``spurious`` and which ``relevant``; others are ignored.
        fields: Which field of a task's data each control shows, ``{"img": "left"}``, for tasks with several images, because the
            export does not say. A control with the same name as its field needs no entry.
        strict: Whether a shape without a clear meaning, or one that cannot be drawn, raises an error instead of being skipped,
            named and counted.

    Returns:
        The regions of each image that was looked at, by name, in the size that the file states; it states none if nothing is
        marked.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not such an export, or a wanted label does not occur in it; with ``strict``, also what that
            argument says.

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
    reading, content = Reading(path, labels, strict), read_json(path)
    tasks = content if isinstance(content, list) else [content]
    if tasks and not any(_is_task(task) for task in tasks):
        raise ValueError(f"{path} is not a JSON export of Label Studio (JSON-MIN is a different one).")
    for number, task in enumerate(tasks):
        if not _is_task(task):
            reading.skip("", f"of task {number}", "malformed", "it is not a task with data and annotations")
            continue
        _read_task(reading, task, str(task.get("id", number)), fields or {})
    return reading.finish()


def _is_task(task: Any) -> bool:
    return isinstance(task, dict) and (isinstance(task.get("data"), dict) or isinstance(task.get("task"), dict))


def _read_task(reading: Reading, task: dict[str, Any], id: str, fields: Mapping[str, str]) -> None:
    """One task; or one annotation that holds its task, as a storage of annotations has them."""
    if "data" not in task:
        task = {"data": task["task"].get("data"), "annotations": [task]}
    made = task.get("annotations", task.get("completions"))
    finished = [one for one in objects(made) if not one.get("was_cancelled")]
    if not finished:
        reading.note(f"{reading.file}: tasks without a finished annotation were not looked at; predictions are not marks.")
        return
    images = addresses(task["data"] if isinstance(task["data"], dict) else {})
    if not images:
        reading.skip("", f"of task {id}", "no image", f"task {id} has no address of an image among its data")
        return
    # A list of several results, or of several images, is told apart below; whoever finished the task saw all of them.
    marks = {place: reading.image(address) for place, address in images.items()}
    for number, results in enumerate(objects(one.get("result")) for one in finished):
        labels = _labels_by_id(results)
        for position, one in enumerate(results):
            kind = str(one.get("type", "")).removesuffix("labels")
            if kind not in _LABELLED:
                continue
            called = one.get("id", f"{position} of annotation {number} of task {id}")
            named = labels.get(str(one["id"]), []) if "id" in one else _labels(one)
            place = _place(one, images, fields)
            if place is not None:
                reading.mark(marks[place], named, called, result_shape, kind, one, marks[place], reading)
            elif reading.wanted(named):
                _skip_of_several(reading, one, called, marks)


def _skip_of_several(reading: Reading, one: Mapping[str, Any], id: Any, marks: Mapping[tuple[str, int], Any]) -> None:
    """Nobody knows which of a task's images a mark is on; so none of them is known to have nothing."""
    for image in marks.values():
        if image is not None:
            image.skipped += 1
    known = sorted({field for field, _ in marks})
    reason = (
        f"fields={{'{one.get('to_name')}': ...}} must say which of {known} is shown by its control {one.get('to_name')!r} shows"
    )
    reading.skip("", id, "one of several images", reason)


def _labels(one: Mapping[str, Any]) -> list[Any]:
    value = one.get("value")
    found = value.get(str(one.get("type")), value.get("labels", ())) if isinstance(value, dict) else ()
    return [label for label in found if isinstance(label, (str, int))] if isinstance(found, list) else []


def _labels_by_id(results: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """All labels of a region: its shape and its labels may be results of their own, with the same id."""
    found: dict[str, list[Any]] = {}
    for one in results:
        known = found.setdefault(str(one.get("id")), [])
        known += [label for label in _labels(one) if label not in known]
    return found


def _place(one: Mapping[str, Any], images: Mapping[tuple[str, int], str], fields: Mapping[str, str]) -> Any:
    """Which of a task's images a result is on, as (field, number in its list); None where that is not certain."""
    names = {name for name, _ in images}
    control = str(one.get("to_name", ""))
    field = fields.get(control, control if control in names else next(iter(names)) if len(names) == 1 else None)
    number = one.get("item_index", 0)
    several = sum(name == field for name, _ in images) > 1
    if several and "item_index" not in one:
        return None
    return (field, number) if isinstance(number, int) and (field, number) in images else None


def result_shape(kind: str, one: Mapping[str, Any], image: ImageMarks, reading: Reading) -> Shape:
    """A result's shape. Coordinates are percentages of the image's width and height; rotations go clockwise."""
    value = one.get("value")
    if not isinstance(value, dict):
        raise BadShape("malformed", "it has no value")
    if one.get("image_rotation"):
        raise BadShape("rotated image", f"its image was rotated by {one['image_rotation']} degrees: rotate the file")
    stated = numbers((one.get("original_height"), one.get("original_width")))
    if not all(1 <= edge <= 1e6 and edge % 1 == 0 for edge in stated):
        raise BadShape("no size", f"the size (H, W) of its image, {tuple(stated)}, is none")
    own = int(stated[0]), int(stated[1])
    if image.size is None:
        image.size = own
    height, width = image.size
    if own != image.size and (kind in ("brush", "bitmask") or abs(own[0] * width / (own[1] * height) - 1) > 0.01):
        raise BadShape("two sizes", f"its image has the sizes (H, W) = {image.size} and {own}")
    to_pixels = np.array([width, height]) / 100
    if kind in ("brush", "magicwand"):
        return brush(value.get("rle"), own)
    if kind == "bitmask":
        return bitmask(value.get("imageDataURL"), own)
    if kind == "polygon":
        return Outline([[ring_of(value.get("points")) * to_pixels]])
    if kind == "vector":
        return _vector(value, to_pixels)
    x, y = numbers((value.get("x"), value.get("y"))) * to_pixels
    if kind == "ellipse":
        radii = numbers((value.get("radiusX"), value.get("radiusY"))) * to_pixels
        return ellipse(x, y, *radii, rotation=value.get("rotation"))
    if kind == "rectangle":
        w, h = numbers((value.get("width"), value.get("height"))) * to_pixels
        if w <= 0 or h <= 0:
            raise BadShape("no area", f"the rectangle of {w:g} x {h:g} pixels covers nothing")
        corners = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]])
        return Outline([[turned(corners, corners[0], value.get("rotation"))]])
    raise no_area(kind)


def _vector(value: Mapping[str, Any], to_pixels: Any) -> Shape:
    vertices = value.get("vertices")
    if not isinstance(vertices, list) or any(not isinstance(one, dict) or one.get("isBezier") for one in vertices):
        raise BadShape("no area", "a curve of this kind cannot be drawn")
    if value.get("closed"):
        return Outline([[ring_of(vertices) * to_pixels]])
    return line(line(vertices).points * to_pixels)
