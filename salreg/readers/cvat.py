"""CVAT's XML for images: boxes, polygons and masks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from salreg.readers.drawing import Painted, check_labels, polygon, rectangle
from salreg.readers.optional import optional
from salreg.readers.regions import Regions, Side, check_sides, image_name

_SHAPES = ("box", "polygon", "mask")


class _Drawing(Painted):
    __slots__ = ()

    def paint(self, canvas: Image.Image, shape: Any) -> None:
        if "points" in shape:
            polygon(canvas, [(float(x), float(y)) for x, y in (pair.split(",") for pair in shape["points"].split(";"))])
        elif "rle" in shape:
            canvas.paste(1, (int(shape["left"]), int(shape["top"])), Image.fromarray(_runs(shape)))
        else:
            left, top, right, bottom = (float(shape[edge]) for edge in ("xtl", "ytl", "xbr", "ybr"))
            rectangle(canvas, left, top, right, bottom)


def read_cvat(path: str | Path, labels: Mapping[str, Side]) -> dict[str, Regions]:
    """Regions by the names of their images, from "CVAT for images 1.1" XML. Needs ``defusedxml``: entities and references to
    other files are refused.

    Every image that the file lists was looked at: without shape, nothing is marked in it. CVAT also lists the images of a job
    that nobody has opened yet; ``AnnotatedDataset(..., empty="unknown")`` is for a file of unfinished jobs.

    Args:
        path: The XML file.
        labels: Which of its labels are ``spurious`` and which ``relevant``; others are passed over.

    Returns:
        The regions of each listed image by name, in the size that the file states: boxes, polygons and masks. Drawing
        raises a ``ValueError`` for a shape that is malformed, or where a spurious region overlaps a relevant one.

    Raises:
        FileNotFoundError: There is no such file.
        ModuleNotFoundError: defusedxml is not installed.
        ValueError: No such XML, an entity in it, or a label that no shape has.

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
    defusedxml, tree = optional("defusedxml", "cvat"), optional("defusedxml.ElementTree", "cvat")
    check_sides(labels)
    found: dict[str, _Drawing] = {}
    seen: set[str] = set()
    try:
        for image in tree.parse(path).getroot().iter("image"):
            size = int(image.attrib["height"]), int(image.attrib["width"])
            where = f"{path}, image {image.attrib['name']!r}"
            # An image that is listed twice keeps the marks of both.
            shapes = found.setdefault(image_name(image.attrib["name"], str(path)), _Drawing(where, size))
            for shape in image:
                label = shape.attrib.get("label", "")
                seen.add(label)
                if shape.tag in _SHAPES and label in labels:
                    shapes.marks.setdefault(labels[label], []).append(dict(shape.attrib))
    except (tree.ParseError, defusedxml.DefusedXmlException, KeyError) as error:
        raise ValueError(f"{path} is no XML of CVAT for images: {type(error).__name__} {error}.") from error
    check_labels(labels, seen, path)
    return dict(found)


def _runs(shape: Mapping[str, str]) -> Any:
    """A mask within its own box: lengths of runs along the rows, which begin outside."""
    height, width = int(shape["height"]), int(shape["width"])
    lengths = [int(length) for length in shape["rle"].split(",")]
    flat = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    if flat.size != height * width:
        raise ValueError(f"a mask's runs cover {flat.size} places of a box of {height} x {width}.")
    return flat.reshape(height, width)
