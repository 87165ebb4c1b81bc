"""MegaDetector's JSON of detections."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from salreg.readers.checked import corner_box
from salreg.readers.content import objects, read_json
from salreg.readers.problems import BadShape
from salreg.readers.reading import Reading, Readings
from salreg.readers.regions import Side
from salreg.readers.shapes import Shape


def read_megadetector(
    path: str | Path, labels: Mapping[str, Side], *, confidence: float = 0.2, strict: bool = False
) -> Readings:
    """Read regions by image name from MegaDetector's JSON, whose boxes come from a network, not a person.

    Every image that the file lists without a failure counts as looked at.

    Args:
        path: The JSON file.
        labels: Which of its categories, ``animal``, ``person`` or ``vehicle``, are ``spurious`` and which ``relevant``.
        confidence: Detections below this confidence are ignored.
        strict: Whether a detection without a clear meaning raises an error instead of being skipped, named and counted.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not such JSON, or a wanted category does not occur in it.

    Example:
        >>> import json, os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "md.json")
        >>> _ = open(path, "w").write(json.dumps({"detection_categories": {"1": "animal"}, "images": [
        ...     {"file": "a.jpg", "detections": [{"category": "1", "conf": 0.9, "bbox": [0, 0, 0.5, 1]}]}]}))
        >>> read_megadetector(path, {"animal": "relevant"})["a"].draw((1, 4)).tolist()
        [[[1, 1, 0, 0]]]
    """
    reading, content = Reading(path, labels, strict), read_json(path)
    names = content.get("detection_categories") if isinstance(content, dict) else None
    if not isinstance(names, dict) or not isinstance(content.get("images"), list):
        raise ValueError(f"{path} is not a MegaDetector JSON file: it has no images and detection_categories.")
    for one in objects(content["images"]):
        if one.get("failure") or one.get("detections") is None:
            continue
        image = reading.image(one.get("file"))
        for number, found in enumerate(objects(one.get("detections"))):
            if _conf(found) >= confidence:
                reading.mark(image, names.get(str(found.get("category")), ""), number, _shape, found.get("bbox"))
    return reading.finish([str(name) for name in names.values()])


def _conf(found: Mapping[str, Any]) -> float:
    value = found.get("conf")
    return float(value) if isinstance(value, (int, float)) else 1.0


def _shape(edges: Any) -> Shape:
    if not isinstance(edges, list) or len(edges) != 4:
        raise BadShape("malformed", "its bbox is not a list [x, y, width, height]")
    return corner_box(*edges, fractions=True)
