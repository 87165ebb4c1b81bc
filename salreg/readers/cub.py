"""The boxes of CUB-200-2011."""

from pathlib import Path

from salreg.readers.checked import corner_box
from salreg.readers.content import read_text
from salreg.readers.reading import Reading, Readings
from salreg.readers.regions import Side


def read_cub(path: str | Path, inside: Side = "relevant", *, strict: bool = False) -> Readings:
    """Read the boxes of the birds by image name from CUB-200-2011's ``bounding_boxes.txt``.

    Its segmentations are masks: ``read_masks(relevant="segmentations", categories=...)``.

    Args:
        path: The file; ``images.txt`` in the same folder has the paths of the images by number.
        inside: The mark of the boxes.
        strict: Whether a line without a clear meaning raises an error instead of being skipped, named and counted.

    Raises:
        FileNotFoundError: There is no such file, or no ``images.txt`` beside it.
        ValueError: A line of ``images.txt`` is invalid.

    Example:
        >>> import os, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> _ = open(os.path.join(folder, "images.txt"), "w").write("1 001.Albatross/a.jpg\\n")
        >>> _ = open(os.path.join(folder, "bounding_boxes.txt"), "w").write("1 0.0 0.0 2.0 1.0\\n")
        >>> read_cub(os.path.join(folder, "bounding_boxes.txt"))["001.Albatross/a"].draw((2, 3)).tolist()
        [[[1, 1, 0], [0, 0, 0]]]
    """
    listed = Path(path).with_name("images.txt")
    if not listed.is_file():
        raise FileNotFoundError(f"{path} has only the numbers of images; {listed} with their paths is missing.")
    images = dict(line.split(maxsplit=1) for line in read_text(listed).splitlines() if len(line.split(maxsplit=1)) == 2)
    reading = Reading(path, None, strict, inside)
    for number, line in enumerate(read_text(path).splitlines(), 1):
        first, *edges = line.split() or [""]
        if not first:
            continue
        if first not in images or len(edges) != 4:
            reading.skip(
                "",
                f"in line {number}",
                "not listed",
                f"{line[:40]!r} does not consist of a number from images.txt and four edges",
            )
        else:
            reading.mark(reading.image(images[first]), "bird", f"in line {number}", corner_box, *edges)
    return reading.finish()
