"""CreateML's JSON of boxes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from salreg.readers.checked import corner_box, numbers
from salreg.readers.content import objects, read_json
from salreg.readers.problems import BadShape
from salreg.readers.reading import Reading, Readings
from salreg.readers.regions import Side
from salreg.readers.shapes import Outline


def read_createml(path: str | Path, labels: Mapping[str, Side], *, strict: bool = False) -> Readings:
    """Read regions by image name from CreateML's JSON: boxes by their centre, in pixels.

    Every image that the file lists was looked at.

    Args:
        path: The JSON file.
        labels: Which labels are ``spurious`` and which ``relevant``; others are ignored.
        strict: Whether a box without a clear meaning raises an error instead of being skipped, named and counted. The file does
            not state its unit and anchor; boxes whose numbers are all fractions are not read as pixels.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not such JSON, or a wanted label does not occur in it.

    Example:
        >>> import json, os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "a.json")
        >>> place = {"x": 1, "y": 0.5, "width": 2, "height": 1}
        >>> _ = open(path, "w").write(json.dumps(
        ...     [{"image": "003.jpg", "annotations": [{"label": "ruler", "coordinates": place}]}]))
        >>> read_createml(path, {"ruler": "spurious"})["003"].draw((2, 3)).tolist()
        [[[-1, -1, 0], [0, 0, 0]]]
    """
    reading, content = Reading(path, labels, strict), read_json(path)
    entries = objects(content)
    if not entries or not any(is_entry(one) for one in entries):
        raise ValueError(f"{path} is not a CreateML JSON file: it lists no images with annotations.")
    for number, one in enumerate(content):
        if not isinstance(one, dict) or not is_entry(one):
            reading.skip("", number, "malformed", "it is not an image with annotations")
            continue
        image = reading.image(one.get("image", one.get("imagefilename")))
        for place, box in enumerate(one.get("annotations", one.get("annotation")) or ()):
            if isinstance(box, dict):
                reading.mark(image, box.get("label"), place, _shape, box.get("coordinates"))
            else:
                reading.skip(image or "", place, "malformed", "it is not an object")
    return reading.finish()


def is_entry(one: Mapping[str, Any]) -> bool:
    """Whether an object of a JSON is CreateML's of an image."""
    return isinstance(one.get("annotations", one.get("annotation")), list) and bool({"image", "imagefilename"} & {*one})


def _shape(place: Any) -> Outline:
    if not isinstance(place, dict):
        raise BadShape("no place", "it has no coordinates")
    x, y, width, height = numbers([place.get(key) for key in ("x", "y", "width", "height")])
    if all(0 <= value <= 1 for value in (x, y, width, height)):
        raise BadShape("fractions", "its coordinates look like fractions of the image; pixels are read")
    return corner_box(x - width / 2, y - height / 2, width, height)
