"""Tables of boxes."""

import csv
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from salreg.annotations import from_boxes
from salreg.names import nearest
from salreg.readers.regions import SIDES, Regions, Side, image_name

_COLUMNS = ("image", "x1", "y1", "x2", "y2")


@dataclass(slots=True)
class _Boxes:
    """Boxes in pixels of the image, none where somebody looked and marked nothing; ``where`` names the table."""

    where: str
    boxes: dict[Side, list[tuple[float, ...]]] = field(default_factory=dict)

    def draw(self, size: tuple[int, int]) -> Tensor:
        try:
            drawn = [from_boxes(boxes, size, inside=side) for side, boxes in self.boxes.items()]
        except ValueError as error:
            raise ValueError(f"{self.where}: {error}") from error
        if len(drawn) == 2 and (drawn[0].bool() & drawn[1].bool()).any():
            raise ValueError(f"{self.where}: a spurious and a relevant box overlap.")
        return sum(drawn, torch.zeros(1, *size, dtype=torch.int8))


def read_boxes(path: str | Path, inside: Side = "spurious") -> dict[str, Regions]:
    """Boxes by the names of their images, from a CSV with the columns ``image, x1, y1, x2, y2`` and perhaps ``mark``.

    Args:
        path: The file. ``image`` is a path below the images' folder; the edges are in pixels of the image as it is annotated,
            the right and lower ones excluded; ``mark`` is ``spurious`` or ``relevant``. A row whose edges are all empty
            (``003.jpg,,,,``) says that somebody looked at the image and that there is nothing to mark.
        inside: What boxes are where there is no ``mark``.

    Returns:
        The regions of each image in the table by name. Drawing them raises a ``ValueError`` for a box outside the image, and
        for a spurious box that overlaps a relevant one.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A column is missing, a number is none, or a path leaves the root; names the line.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "boxes.csv")
        >>> _ = open(path, "w").write("image,x1,y1,x2,y2\\nmoles/003.jpg,0,0,2,1\\nmoles/004.jpg,,,,\\n")
        >>> regions = read_boxes(path)
        >>> regions["moles/003"].draw((2, 3)).tolist(), regions["moles/004"].draw((2, 3)).tolist()
        ([[[-1, -1, 0], [0, 0, 0]]], [[[0, 0, 0], [0, 0, 0]]])
    """
    if inside not in SIDES:
        raise ValueError(f"inside is spurious or relevant, not {inside!r}.")
    found: dict[str, _Boxes] = {}
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        given = rows.fieldnames or []
        for column in _COLUMNS:
            if column not in given:
                raise ValueError(f"{path} has no column {column!r}{nearest(column, given)}; it needs {', '.join(_COLUMNS)}.")
        for row in rows:
            where = f"{path}, line {rows.line_num}"
            side = (row.get("mark") or inside).strip()
            if side not in SIDES:
                raise ValueError(f"{where}: mark is spurious or relevant, not {side!r}.")
            name = image_name(row["image"] or "", where)
            boxes = found.setdefault(name, _Boxes(f"{path}, image {name!r}")).boxes
            edges = [row[column] for column in _COLUMNS[1:]]
            if all(edge is not None and not edge.strip() for edge in edges):
                continue
            try:
                boxes.setdefault(side, []).append(tuple(map(float, edges)))
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"{where}: x1, y1, x2 and y2 must be numbers, or all be empty where nothing is marked."
                ) from error
    return dict(found)
