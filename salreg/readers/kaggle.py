"""Kaggle's tables of run lengths."""

from pathlib import Path

import numpy as np

from salreg.readers.content import read_table
from salreg.readers.problems import BadShape
from salreg.readers.reading import Reading, Readings
from salreg.readers.regions import Side
from salreg.readers.shapes import Runs

_NOTHING = ("", "-1", "nan")


def read_kaggle(path: str | Path, inside: Side = "spurious", *, strict: bool = False) -> Readings:
    """Regions by the names of their images, from a CSV with the columns ``ImageId`` and ``EncodedPixels``.

    A row's pixels are pairs of a start, counted from 1 down the columns, and a length. A row with none of them, or -1, says
    that somebody looked and marked nothing. The file states no sizes: runs that fit another size cannot be told.

    Args:
        path: The file.
        inside: What the masks are.
        strict: Whether a row that means nothing certain is an error, rather than skipped, named and counted.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It has no such columns.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "train.csv")
        >>> _ = open(path, "w").write("ImageId,EncodedPixels\\n003.jpg,1 2\\n004.jpg,\\n")
        >>> read_kaggle(path)["003"].draw((2, 3)).tolist()
        [[[-1, 0, 0], [-1, 0, 0]]]
    """
    reading = Reading(path, None, strict, inside)
    columns, rows = read_table(path)
    own = {column.lower().replace("_", ""): column for column in columns}
    if not {"imageid", "encodedpixels"} <= {*own}:
        raise ValueError(f"{path} has not the columns ImageId and EncodedPixels. It has: {', '.join(columns)}.")
    for number, row in rows:
        image = reading.image(row[own["imageid"]].strip())
        pixels = row.get(own["encodedpixels"], "").strip()
        if pixels.lower() not in _NOTHING:
            reading.mark(image, inside, f"in line {number}", _shape, pixels)
    return reading.finish()


def _shape(written: str) -> Runs:
    try:
        pairs = np.array(written.split(), float)
    except ValueError as error:
        raise BadShape("wrong run lengths", "its pixels are no numbers") from error
    if (
        not np.isfinite(pairs).all()
        or pairs.max() > 1e12
        or pairs.size % 2
        or (pairs != np.floor(pairs)).any()
        or (pairs < 0).any()
    ):
        raise BadShape("wrong run lengths", "its pixels are no pairs of a start and a length")
    starts, lengths = pairs.reshape(-1, 2).astype(np.int64).T
    edges = np.stack([starts - 1, starts - 1 + lengths], 1).reshape(-1)
    if edges[0] < 0 or (np.diff(edges) < 0).any():
        raise BadShape("wrong run lengths", "its runs overlap, or do not rise")
    return Runs(edges)
