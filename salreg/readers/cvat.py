"""CVAT's XML for images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from salreg.readers.checked import box, ellipse, line, polygon, runs
from salreg.readers.content import read_xml
from salreg.readers.problems import BadShape, no_area
from salreg.readers.reading import Reading, Readings
from salreg.readers.regions import Side
from salreg.readers.shapes import Shape


def read_cvat(path: str | Path, labels: Mapping[str, Side], *, strict: bool = False) -> Readings:
    """Read regions by image name from "CVAT for images 1.1" XML. It needs ``defusedxml``: entities and references to other
    files are refused.

    Every image that the file lists was looked at: if it has no shape, nothing is marked in it. CVAT also lists the images of a
    job that nobody has opened yet; for a file of unfinished jobs, use ``AnnotatedDataset(..., empty="unknown")``. Images of the
    same name are distinguished by their subset, which is put before their name.

    Args:
        path: The XML file.
        labels: Which of its labels are ``spurious`` and which ``relevant``; others are ignored.
        strict: Whether a shape without a clear meaning, or one that cannot be drawn, raises an error instead of being skipped,
            named and counted.

    Returns:
        The regions of each listed image by name, in the size that the file states: boxes, ellipses, polygons, masks, and
        polylines three pixels wide. Points, skeletons, cuboids and tags have no area and are skipped.

    Raises:
        FileNotFoundError: There is no such file.
        ModuleNotFoundError: defusedxml is not installed.
        ValueError: The file is not such XML, contains an entity, or a wanted label does not occur in it; with ``strict``, also
            what that argument says.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "annotations.xml")
        >>> _ = open(path, "w").write(
        ...     '<annotations><image name="003.jpg" width="3" height="2">'
        ...     '<box label="ruler" xtl="0" ytl="0" xbr="2" ybr="1"/></image>'
        ...     '<image name="004.jpg" width="3" height="2"/></annotations>')
        >>> regions = read_cvat(path, {"ruler": "spurious"})
        >>> regions["003"].draw((2, 3)).tolist(), regions["004"].draw((2, 3)).tolist()
        ([[[-1, -1, 0], [0, 0, 0]]], [[[0, 0, 0], [0, 0, 0]]])
    """
    reading, root = Reading(path, labels, strict), read_xml(path)
    images = list(root.iter("image"))
    if root.tag != "annotations" or (not images and root.find("track") is not None):
        video = ": its tracks belong to a video, which read_cvat_video reads" if root.find("track") is not None else ""
        raise ValueError(f"{path} is not a CVAT XML file for images{video}.")
    tasks: dict[tuple[str | None, str], str | None] = {}
    for image in images:
        called = image.get("name"), image.get("subset", "")
        if tasks.setdefault(called, image.get("task_id")) != image.get("task_id"):
            reading.note(f"{path}: several tasks have an image {called[0]!r}; their marks are combined.")
        size = image.get("height"), image.get("width")
        marks = reading.image(image.get("name"), size, image.get("subset", ""))
        for number, one in enumerate(image):
            if "label" in one.attrib:
                reading.mark(marks, one.get("label"), number, cvat_shape, one.tag, dict(one.attrib))
    return reading.finish()


def cvat_shape(kind: str, one: Mapping[str, str]) -> Shape:
    """The shape of an element, by its tag and attributes.

    Raises:
        BadShape: It is malformed, or of a kind that has no area.
    """
    turn = one.get("rotation", 0)
    if kind == "box":
        return box(*(one.get(edge) for edge in ("xtl", "ytl", "xbr", "ybr")), rotation=turn)
    if kind == "ellipse":
        return ellipse(*(one.get(edge) for edge in ("cx", "cy", "rx", "ry")), rotation=turn)
    if kind == "polygon":
        return polygon(_points(one))
    if kind == "polyline":
        return line(_points(one))
    if kind == "mask":
        return _mask(one)
    raise no_area(kind)


def _points(one: Mapping[str, str]) -> list[Any]:
    return [pair.split(",") for pair in one.get("points", "").split(";") if pair]


def _mask(one: Mapping[str, str]) -> Shape:
    """A mask within its own box: lengths of runs along the rows, which begin outside."""
    try:
        left, top, width, height = (int(float(one.get(edge, ""))) for edge in ("left", "top", "width", "height"))
    except (ValueError, OverflowError) as error:
        raise BadShape("no number", "its box is none") from error
    if not (0 < width <= 1e6 and 0 < height <= 1e6) or max(abs(left), abs(top)) > 1e6:
        raise BadShape("no area", f"its box of {height} x {width} at ({left}, {top}) is none")
    lengths = [part.strip() for part in one.get("rle", "").split(",") if part.strip()]
    return runs(lengths, (height, width), order="C", corner=(top, left))
