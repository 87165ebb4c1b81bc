"""Tables of boxes, with any column names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from salreg.names import nearest
from salreg.readers.checked import box, corner_box, numbers
from salreg.readers.content import read_table
from salreg.readers.problems import BadShape
from salreg.readers.reading import Reading, Readings
from salreg.readers.regions import SIDES, Side
from salreg.readers.shapes import Shape

_EDGES, _CORNER = ("x1", "y1", "x2", "y2"), ("x", "y", "width", "height")
#: Columns of known tables; what they hold is fractions of the image where ``fractions`` says so.
LAYOUTS: dict[str, dict[str, str]] = {
    "salreg": {"image": "image", **{edge: edge for edge in _EDGES}, "mark": "mark"},
    "NIH ChestX-ray": {
        "image": "Image Index", "label": "Finding Label", "x": "Bbox [x", "y": "y", "width": "w", "height": "h]"
    },
    "NIH ChestX-ray, quoted": {"image": "Image Index", "label": "Finding Label", "box": "Bbox [x,y,w,h]"},
    "RSNA": {"image": "patientId", "x": "x", "y": "y", "width": "width", "height": "height", "label": "Target"},
    "VinDr-CXR": {
        "image": "image_id", "label": "class_name", "x1": "x_min", "y1": "y_min", "x2": "x_max", "y2": "y_max"
    },
    "Open Images": {
        "image": "ImageID", "label": "LabelName", "x1": "XMin", "y1": "YMin", "x2": "XMax", "y2": "YMax", "fractions": "1"
    },
    "TensorFlow": {
        "image": "filename", "label": "class", "x1": "xmin", "y1": "ymin", "x2": "xmax", "y2": "ymax",
        "image_width": "width", "image_height": "height",
    },
}  # fmt: skip
_EXTRA = {"label", "mark", "fractions", "image_width", "image_height"}  # columns that a table may lack
_NOTHING = ("nan", "none", "na", "n/a", "null", "<na>")
_ALL = {"image", "box", *_EDGES, *_CORNER, *_EXTRA}


def read_boxes(
    path: str | Path,
    inside: Side = "spurious",
    *,
    categories: Mapping[str, Side] | None = None,
    columns: Mapping[str, str] | None = None,
    strict: bool = False,
) -> Readings:
    """Read boxes by image name from a CSV. Its columns are ``image, x1, y1, x2, y2`` and optionally ``mark``, or those of the
    tables of NIH ChestX-ray, RSNA, VinDr-CXR, Open Images and TensorFlow, or have any names given by ``columns``.

    Args:
        path: The file, separated by commas, semicolons or tabs. ``image`` is a path relative to the images' folder; the edges
            are in pixels of the annotated image, the right and lower ones excluded; ``mark`` is ``spurious`` or ``relevant``. A
            row with all edges empty (``003.jpg,,,,``) says that somebody looked at the image and found nothing to mark.
        inside: The mark of boxes if there is neither ``mark`` nor ``categories``.
        categories: Which labels are ``spurious`` and which ``relevant``, for tables with a column of labels; images with other
            labels count as looked at.
        columns: The names of its columns for ``image``, the edges (``x1 y1 x2 y2``, or ``x y width height``, or ``box`` for one
            column with the latter four), and optionally ``label`` and ``mark``, and ``image_width`` and ``image_height`` for
            the image's size; ``fractions: "1"`` says that edges are fractions of the image.
        strict: Whether a row without a clear meaning raises an error instead of being skipped, named and counted.

    Returns:
        The regions of each image in the table, by name.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A column is missing or, with ``strict``, a row is wrong; the message names its line.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "boxes.csv")
        >>> _ = open(path, "w").write("image,x1,y1,x2,y2\\nmoles/003.jpg,0,0,2,1\\nmoles/004.jpg,,,,\\n")
        >>> regions = read_boxes(path)
        >>> regions["moles/003"].draw((2, 3)).tolist(), regions["moles/004"].draw((2, 3)).tolist()
        ([[[-1, -1, 0], [0, 0, 0]]], [[[0, 0, 0], [0, 0, 0]]])
    """
    if inside not in SIDES:
        raise ValueError(f"inside must be spurious or relevant, not {inside!r}.")
    given, rows = read_table(path)
    layout, names = _layout(path, given, columns)
    twice = [name for key, name in names.items() if key != "fractions" and given.count(name) > 1]
    if twice:
        raise ValueError(f"{path} has two columns called {twice[0]!r}.")
    if categories and "label" not in names:
        raise ValueError(f"{path} has no column of labels; name one with columns={{label: ...}}. It has: {', '.join(given)}.")
    reading = Reading(path, categories or None, strict, inside)
    places = [[row.get(name) for name in _place_columns(names)] for _, row in rows]
    fractions = "fractions" in names
    if not fractions and _all_fractions(places):
        fractions = True
        reading.note(f"{path}: all edges lie between 0 and 1, so they were read as fractions of the image's width and height.")
    for (number, row), place in zip(rows, places, strict=True):
        where, mark = f"in line {number}", _of(row, names, "mark").lower()
        size = (row.get(names["image_height"]), row.get(names["image_width"])) if "image_height" in names else None
        image = reading.image(row[names["image"]].strip(), size)
        label = _of(row, names, "label")
        if image is None or _is_empty(place) or label.lower() == "no finding":
            reading.seen[label] += 1
            continue
        if mark and mark not in SIDES:
            reading.skip(image, where, "no side", f"mark must be spurious or relevant, not {mark!r}")
            continue
        side: Side = inside if mark == "" else "relevant" if mark == "relevant" else "spurious"
        make = box if "x1" in names else corner_box
        if categories:
            reading.mark(image, label, where, _shape, make, place, fractions)
        else:
            reading.inside = side
            reading.mark(image, label or side, where, _shape, make, place, fractions)
    several = {label for label in reading.seen if label} - set(SIDES)
    if not categories and len(several) > 1:
        reading.note(f"{path}: boxes of all {len(several)} labels count as {inside}; use categories to choose among them.")
    if layout not in ("salreg", ""):
        reading.note(f"{path} has the columns of {layout}.")
    return reading.finish()


def _layout(path: str | Path, given: list[str], columns: Mapping[str, str] | None) -> tuple[str, dict[str, str]]:
    """Which table it is, and its own names of the columns, in any case."""
    own = {name.lower(): name for name in reversed(given)}
    if columns:
        unknown = [key for key in columns if key not in _ALL]
        if unknown:
            raise ValueError(f"columns has no {unknown[0]!r}{nearest(unknown[0], _ALL)}; there are {', '.join(sorted(_ALL))}.")
        missing = [name for key, name in columns.items() if key != "fractions" and str(name).lower() not in own]
        complete = "image" in columns and any({*edges} <= {*columns} for edges in (_EDGES, _CORNER, ("box",)))
        if missing or not complete:
            problem = (
                f"no column {missing[0]!r}{nearest(missing[0], given)}" if missing else "neither image nor all edges in columns"
            )
            raise ValueError(f"{path} has {problem}. It has: {', '.join(given)}.")
        return "", {key: own[str(name).lower()] if key != "fractions" else "1" for key, name in columns.items()}
    for layout, names in LAYOUTS.items():
        if all(
            name.lower() in own for key, name in names.items() if key not in _EXTRA or (key == "label" and layout != "RSNA")
        ):
            return layout, {
                key: own.get(name.lower(), name) for key, name in names.items() if name.lower() in own or key == "fractions"
            }
    missing = [name for name in ("image", *_EDGES) if name not in own]
    raise ValueError(
        f"{path} has no column {missing[0]!r}{nearest(missing[0], given)}; it needs image, x1, y1, x2, y2, or the columns of "
        f"one of {', '.join(list(LAYOUTS)[1:])}; columns={{image: ..., x1: ...}} names others. It has: {', '.join(given)}."
    )


def _of(row: Mapping[str, str], names: Mapping[str, str], key: str) -> str:
    """What a row says in a column that the table may lack."""
    return row.get(names[key], "").strip() if key in names else ""


def _place_columns(names: Mapping[str, str]) -> list[str]:
    kind = next(kind for kind in (_EDGES, _CORNER, ("box",)) if kind[0] in names)
    return [names[key] for key in kind]


def _is_empty(place: list[str | None]) -> bool:
    """A row without a box; tables of numbers write nan or the like for it, in all four."""
    edges = ["?" if edge is None else edge.strip().lower() for edge in place]  # a row that is cut off lacks some
    return all(edge == "" for edge in edges) or (len(edges) == 4 and all(edge in _NOTHING for edge in edges))


def _all_fractions(places: list[list[str | None]]) -> bool:
    edges = [edge for place in places if not _is_empty(place) for one in place for edge in (one or "").strip("[] ").split(",")]
    try:
        values = numbers(edges)
    except BadShape:
        return False
    return bool(values) and all(0 <= value <= 1 for value in values) and any(value % 1 for value in values)


def _shape(make: Any, place: list[str | None], fractions: bool) -> Shape:
    edges = [edge or "" for edge in place] if len(place) == 4 else (place[0] or "").strip("[]() ").split(",")
    if len(edges) != 4 or any(not edge.strip() for edge in edges):
        raise BadShape("no number", "the edges of a box must be four numbers, or all empty if nothing is marked")
    values = numbers(edges)
    if not fractions and all(0 <= value <= 1 for value in values) and any(value % 1 for value in values):
        raise BadShape(
            "fractions among pixels", f"({', '.join(edges)}) looks like fractions of the image among boxes in pixels"
        )
    return make(*values, fractions=fractions)
