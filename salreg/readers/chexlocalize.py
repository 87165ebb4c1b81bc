"""CheXlocalize's JSON of segmentations as run lengths."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from salreg.readers.coco import run_length_encoded
from salreg.readers.content import read_json
from salreg.readers.problems import BadShape
from salreg.readers.reading import Reading, Readings
from salreg.readers.regions import Side
from salreg.readers.shapes import Shape


def read_chexlocalize(path: str | Path, labels: Mapping[str, Side], *, strict: bool = False) -> Readings:
    """Read regions by image name from CheXlocalize's JSON, which has COCO run lengths for each pathology.

    Every image that the file lists was looked at. A name such as ``patient1_study1_view1_frontal`` also matches CheXpert's path
    ``patient1/study1/view1_frontal``.

    Args:
        path: The JSON file.
        labels: Which pathologies are ``spurious`` and which ``relevant``; others are ignored.
        strict: Whether a mask without a clear meaning raises an error instead of being skipped, named and counted.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not such JSON, or a wanted pathology does not occur in it.

    Example:
        >>> import json, os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "gt.json")
        >>> _ = open(path, "w").write(json.dumps({"a": {"Support Devices": {"size": [1, 3], "counts": [1, 2]}}}))
        >>> read_chexlocalize(path, {"Support Devices": "spurious"})["a"].draw((1, 3)).tolist()
        [[[0, -1, -1]]]
    """
    reading, content = Reading(path, labels, strict), read_json(path)
    if not isinstance(content, dict) or not all(isinstance(one, dict) for one in content.values()):
        raise ValueError(f"{path} is not a CheXlocalize JSON file: an object of images, each an object of pathologies.")
    for name, pathologies in content.items():
        image = reading.image(_path(name))
        for label, one in pathologies.items():
            reading.mark(image, label, label, _shape, one)
    return reading.finish()


def _path(name: str) -> str:
    """CheXpert's path of a name that has its folders written with underscores."""
    parts = name.split("_", 2)
    return "/".join(parts) if len(parts) == 3 and name.startswith("patient") and parts[1].startswith("study") else name


def _shape(one: Any) -> Shape:
    if not isinstance(one, dict):
        raise BadShape("wrong run lengths", "its mask is not an object of size and counts")
    return run_length_encoded(one, None)
