"""Pascal VOC's XML, a file for each image."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from salreg.readers.checked import box, corner_box, numbers, polygon
from salreg.readers.content import read_xml
from salreg.readers.folders import parsed, single_files
from salreg.readers.names import normal
from salreg.readers.problems import BadShape
from salreg.readers.reading import Reading, Readings
from salreg.readers.regions import Side
from salreg.readers.shapes import Shape


def read_voc(path: str | Path, labels: Mapping[str, Side], *, strict: bool = False) -> Readings:
    """Read regions by image name from a file of Pascal VOC's or a folder of them. Needs ``defusedxml``.

    Every image with a file was looked at. VOC counts pixels from 1 and includes the last ones, but the tools that write its
    files today do neither, and nor does this reader: a box from 1 to 9 has 8 pixels, of which the first is the second one.
    Polygons and roLabelImg's rotated boxes (``robndbox``) are read, too.

    Args:
        path: The XML file, or the folder.
        labels: Which of its names are ``spurious`` and which ``relevant``; others are ignored.
        strict: Whether an object without a clear meaning raises an error instead of being skipped, named and counted.

    Raises:
        FileNotFoundError: There is no such file, or no XML in the folder.
        ModuleNotFoundError: defusedxml is not installed.
        ValueError: No such XML, or a label that no object has.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "003.xml")
        >>> _ = open(path, "w").write("<annotation><filename>003.jpg</filename><object><name>ruler</name><bndbox><xmin>0</xmin>"
        ...     "<ymin>0</ymin><xmax>2</xmax><ymax>1</ymax></bndbox></object></annotation>")
        >>> read_voc(path, {"ruler": "spurious"})["003"].draw((2, 3)).tolist()
        [[[-1, -1, 0], [0, 0, 0]]]
    """
    reading = Reading(path, labels, strict)
    for file, folder, root in parsed(reading, single_files(path, ".xml"), _root):
        name = normal(root.findtext("filename") or file.stem).rpartition("/")[2]
        size = root.findtext("size/height"), root.findtext("size/width")
        image = reading.image(f"{folder}/{name}", None if size in (("0", "0"), (None, None)) else size)
        for number, one in enumerate(root.iter("object")):
            reading.mark(image, (one.findtext("name") or "").strip(), number, _shape, one)
    return reading.finish()


def _root(file: Path) -> Any:
    root = read_xml(file)
    if root.tag != "annotation":
        raise ValueError(f"{file} is not a Pascal VOC XML file: it begins with <{root.tag}>, not <annotation>.")
    return root


def _shape(one: Any) -> Shape:
    outline = one.find("polygon")
    if outline is not None:
        values = numbers([point.text for point in outline.iter() if point.tag[:1] in ("x", "y") and point.tag[1:].isdigit()])
        return polygon(values)
    if one.find("robndbox") is not None:
        x, y, width, height, angle = numbers([one.findtext(f"robndbox/{key}") for key in ("cx", "cy", "w", "h", "angle")])
        return corner_box(x - width / 2, y - height / 2, width, height, rotation=math.degrees(angle))
    if one.find("bndbox") is None:
        raise BadShape("no place", "it has neither a bndbox nor a polygon")
    return box(*(one.findtext(f"bndbox/{edge}") for edge in ("xmin", "ymin", "xmax", "ymax")))
