"""Kaggle's tables of run lengths."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from salreg.readers.content import read_table
from salreg.readers.problems import BadShape
from salreg.readers.reading import Reading, Readings
from salreg.readers.regions import Side
from salreg.readers.shapes import Runs

_CLASSES = ("classid", "class", "label", "classname")
_NOTHING = ("", "-1", "nan")


def read_kaggle(
    path: str | Path, inside: Side = "spurious", *, categories: Mapping[str, Side] | None = None, strict: bool = False
) -> Readings:
    """Read regions by image name from a CSV with the columns ``ImageId`` and ``EncodedPixels``.

    A row's pixels are pairs of a start, counted from 1 down the columns, and a length. A row without any, or with -1, says that
    somebody looked and marked nothing. The file states no sizes, so runs meant for another size are not detected.

    Args:
        path: The file.
        inside: The mark of the masks if there are no ``categories``.
        categories: Which classes are ``spurious`` and which ``relevant``, for tables with a column ``ClassId``.
        strict: Whether a row without a clear meaning raises an error instead of being skipped, named and counted.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The columns are missing.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "train.csv")
        >>> _ = open(path, "w").write("ImageId,EncodedPixels\\n003.jpg,1 2\\n004.jpg,\\n")
        >>> read_kaggle(path)["003"].draw((2, 3)).tolist()
        [[[-1, 0, 0], [-1, 0, 0]]]
    """
    reading = Reading(path, categories or None, strict, inside)
    columns, rows = read_table(path)
    own = {column.lower().replace("_", ""): column for column in columns}
    if not {"imageid", "encodedpixels"} <= {*own}:
        raise ValueError(f"{path} does not have the columns ImageId and EncodedPixels. It has: {', '.join(columns)}.")
    label = next((own[name] for name in _CLASSES if name in own), None)
    if categories and label is None:
        raise ValueError(f"{path} has no column ClassId. It has: {', '.join(columns)}.")
    for number, row in rows:
        image = reading.image(row[own["imageid"]].strip())
        pixels = row.get(own["encodedpixels"], "").strip()
        if pixels.lower() not in _NOTHING:
            reading.mark(image, row.get(label or "", inside).strip(), f"in line {number}", _shape, pixels)
    if label and not categories and len(reading.seen) > 1:
        reading.note(
            f"{path}: masks of all {len(reading.seen)} classes count as {inside}; use categories to choose among them."
        )
    return reading.finish()


def _shape(written: str) -> Runs:
    try:
        pairs = np.array(written.split(), float)
    except ValueError as error:
        raise BadShape("wrong run lengths", "its pixels are not numbers") from error
    if (
        not np.isfinite(pairs).all()
        or pairs.max() > 1e12
        or pairs.size % 2
        or (pairs != np.floor(pairs)).any()
        or (pairs < 0).any()
    ):
        raise BadShape("wrong run lengths", "its pixels are not pairs of a start and a length")
    starts, lengths = pairs.reshape(-1, 2).astype(np.int64).T
    edges = np.stack([starts - 1, starts - 1 + lengths], 1).reshape(-1)
    if edges[0] < 0 or (np.diff(edges) < 0).any():
        raise BadShape("wrong run lengths", "its runs overlap, or do not rise")
    return Runs(edges)
