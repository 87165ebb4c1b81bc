"""Label Studio's JSON-MIN, which says less than its JSON."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from salreg.readers.content import objects, read_json
from salreg.readers.label_studio import result_shape
from salreg.readers.label_studio_address import addresses
from salreg.readers.reading import Reading, Readings
from salreg.readers.regions import Side

#: What tells the kinds of shapes apart.
_KINDS = {"rle": "brush", "imageDataURL": "bitmask", "vertices": "vector", "points": "polygon", "radiusX": "ellipse"}


def read_label_studio_min(path: str | Path, labels: Mapping[str, Side], *, strict: bool = False) -> Readings:
    """Read regions by image name from Label Studio's "JSON-MIN" export.

    It does not describe the tasks' controls, so shapes of a task with several images are skipped; nor does it say whether
    somebody rotated an image in the tool. The "JSON" export says both. A task with an annotation was looked at.

    Args:
        path: The JSON file.
        labels: Which labels are ``spurious`` and which ``relevant``; others are ignored.
        strict: Whether a shape without a clear meaning raises an error instead of being skipped, named and counted.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not such an export, or a wanted label does not occur in it.

    Example:
        >>> import json, os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "export.json")
        >>> box = {"x": 0, "y": 0, "width": 200 / 3, "height": 50, "original_width": 3, "original_height": 2}
        >>> _ = open(path, "w").write(json.dumps([{"image": "/data/upload/1/0a1b2c3d-003.jpg", "id": 1, "annotation_id": 1,
        ...     "label": [{**box, "rectanglelabels": ["ruler"]}]}]))
        >>> read_label_studio_min(path, {"ruler": "spurious"})["003"].draw((2, 3)).tolist()
        [[[-1, -1, 0], [0, 0, 0]]]
    """
    reading, content = Reading(path, labels, strict), read_json(path)
    if not isinstance(content, list) or not any(is_record(one) for one in objects(content)):
        raise ValueError(f"{path} is not a JSON-MIN export of Label Studio.")
    reading.note(f"{path}: JSON-MIN does not say whether images were rotated in the tool; the JSON export does.")
    for number, record in enumerate(content):
        if not isinstance(record, dict) or not is_record(record):
            reading.skip("", f"of task {number}", "malformed", "it is not a task with annotations")
        elif not _regions(record) and record.get("annotation_id") is None:
            reading.note(f"{path}: tasks without a finished annotation were not looked at.")
        else:
            _read_record(reading, record, record.get("id", number))
    return reading.finish()


def is_record(one: Mapping[str, Any]) -> bool:
    """Whether an object of a JSON is a task of JSON-MIN's."""
    return "annotation_id" in one or bool(_regions(one))


def _regions(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [one for value in record.values() for one in objects(value) if "original_width" in one]


def _read_record(reading: Reading, record: Mapping[str, Any], id: Any) -> None:
    images = [reading.image(name) for name in addresses(record).values()]
    if not images:
        reading.skip("", f"of task {id}", "no image", f"task {id} has no address of an image among its data")
    for number, one in enumerate(_regions(record)):
        named = [label for key, value in one.items() if key.endswith("labels") and isinstance(value, list) for label in value]
        called = f"{number} of task {id}"
        if len(images) == 1 and images[0] is not None:
            kind = next((kind for key, kind in _KINDS.items() if key in one), "rectangle" if "height" in one else "keypoint")
            reading.mark(images[0], named, called, result_shape, kind, {**one, "value": one}, images[0], reading)
        elif reading.wanted(named):
            for image in images:
                if image is not None:
                    image.skipped += 1
            reason = "JSON-MIN does not say which of its task's images it is on; the JSON export does"
            reading.skip("", called, "one of several images", reason)
