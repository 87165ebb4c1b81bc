"""Labelbox's NDJSON of exported data rows."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from salreg.readers.checked import corner_box, line, polygon
from salreg.readers.content import objects, read_json, read_json_lines
from salreg.readers.label_studio_address import named
from salreg.readers.problems import BadShape, no_area
from salreg.readers.reading import Reading, Readings
from salreg.readers.regions import Side
from salreg.readers.shapes import Shape


def read_labelbox(path: str | Path, labels: Mapping[str, Side], *, strict: bool = False) -> Readings:
    """Read regions by image name from Labelbox's export: one data row per line, or a list of them.

    A data row with a label in one of its projects was looked at. An image is named by its external id, or else by the path of
    its address. Boxes, polygons and lines are drawn; masks are stored at addresses, which are not fetched.

    Args:
        path: The file.
        labels: Which names of objects are ``spurious`` and which ``relevant``; others are ignored.
        strict: Whether an object without a clear meaning raises an error instead of being skipped, named and counted.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not such an export, or a wanted name does not occur in it.

    Example:
        >>> import json, os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "export.ndjson")
        >>> box = {"name": "ruler", "bounding_box": {"left": 0, "top": 0, "width": 2, "height": 1}}
        >>> _ = open(path, "w").write(json.dumps({"data_row": {"external_id": "003.jpg"}, "projects": {
        ...     "p": {"labels": [{"annotations": {"objects": [box]}}]}}}))
        >>> read_labelbox(path, {"ruler": "spurious"})["003"].draw((2, 3)).tolist()
        [[[-1, -1, 0], [0, 0, 0]]]
    """
    reading, rows = Reading(path, labels, strict), list(_rows(path))
    if not any(isinstance(row, dict) and isinstance(row.get("data_row"), dict) for _, row in rows):
        raise ValueError(f"{path} is not an export of Labelbox's data rows: none of its lines has a 'data_row'.")
    for number, row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("data_row"), dict):
            reading.skip("", f"in line {number}", "malformed", "it is not a data row")
            continue
        projects = row.get("projects")
        projects = objects(list(projects.values())) if isinstance(projects, dict) else []
        made = [label for project in projects for label in objects(project.get("labels"))]
        if not made:
            reading.note(f"{path}: data rows without a label were not looked at.")
            continue
        media = row.get("media_attributes")
        size = (media.get("height"), media.get("width")) if isinstance(media, dict) else None
        image = reading.image(_name(row["data_row"]), size)
        for label in made:
            annotations = label.get("annotations")
            if isinstance(annotations, dict) and "frames" in annotations:
                reading.skip(image or "", "", "a video", "it holds the frames of a video, which are not supported")
            for place, one in enumerate(objects(annotations.get("objects") if isinstance(annotations, dict) else None)):
                reading.mark(image, one.get("name"), one.get("feature_id", place), _shape, one)
    return reading.finish()


def _rows(path: str | Path) -> Iterator[tuple[int, Any]]:
    """The data rows, with the number of their line or place."""
    try:
        content = read_json(path)
    except ValueError:
        yield from read_json_lines(path)
    else:
        yield from enumerate(content if isinstance(content, list) else [content], 1)


def _name(row: Mapping[str, Any]) -> Any:
    given = row.get("external_id")
    return given if given else named(str(row.get("row_data") or row.get("global_key") or ""))


def _shape(one: Mapping[str, Any]) -> Shape:
    place = one.get("bounding_box")
    if isinstance(place, dict):
        return corner_box(*(place.get(key) for key in ("left", "top", "width", "height")))
    if "polygon" in one:
        return polygon(one["polygon"])
    if "line" in one:
        return line(one["line"])
    if "mask" in one or "composite_mask" in one:
        raise BadShape(
            "elsewhere", "its mask is stored at an address, which is not fetched: download the masks, and read their folder"
        )
    kind = one.get("annotation_kind", "unknown")
    raise no_area(kind, "an object")
