"""``salreg annotations check``: checks that a file's regions fit the images, and draws them."""

import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from salreg.callbacks.drawable import drawable_sample
from salreg.readers import FileAnnotations, ImageMarks, Problem, Readings, Regions, SkippedAnnotations, volumes
from salreg.readers.pictures import opened, size_of
from salreg.readers.problems import by_kind
from salreg.recipes.command.contact_sheet import SHOWN, check_sheet, save_sheet, tile
from salreg.recipes.command.oddities import Seen, most_odd, seen
from salreg.recipes.data.image_files import image_paths
from salreg.recipes.data.paths import nearest_path
from salreg.recipes.data.volume_files import of_volumes_only, with_series

_LONGEST = 1024  # pixels of the longest side at which marks are drawn


@dataclass
class Findings:
    """The findings of a check. Lists hold paths relative to the images' folder.

    Attributes:
        images: The number of images.
        matched: The number of images that have annotations.
        without: The images that nobody looked at.
        unused: The names of annotations without an image.
        notes: How unclear annotations were understood, and which names differ.
        problems: Annotations that were skipped, and files that cannot be read.
        nothing_marked: The number of images that somebody looked at without marking anything.
        unclear: The images whose marks were all skipped, so that they count as not looked at.
        marked: A description of the marks on each marked image.
        labels: The number of images with a mark of each label.
    """

    images: int = 0
    matched: int = 0
    without: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    ambiguous: list[str] = field(default_factory=list)
    other_size: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    marked: list[Seen] = field(default_factory=list)
    labels: Counter[str] = field(default_factory=Counter)
    nothing_marked: int = 0

    def __str__(self) -> str:
        spurious, relevant = (sum(getattr(one, side) > 0 for one in self.marked) for side in ("spurious", "relevant"))
        looked_at = len(self.marked) + self.nothing_marked
        lines = [
            f"{looked_at} of {self.images} images were looked at: {len(self.marked)} marked ({spurious} spurious, {relevant} "
            f"relevant); {self.nothing_marked} looked at, nothing marked.",
            *self._table(looked_at),
        ]
        if spurious and spurious == looked_at:
            lines.append(
                "Every image that was looked at has a spurious mark, so they cannot show when the marked feature is absent: "
                "add some images without it, with empty marks."
            )
        for what, paths in (
            ("images that nobody looked at", self.without),
            ("annotations without image", self.unused),
            ("names that match several others", self.ambiguous),
            ("annotations that mark everything", [one.path for one in self.marked if one.share == 1]),
            ("annotations whose size differs from their image's", self.other_size),
            ("images whose marks were all skipped, which count as not looked at", self.unclear),
        ):
            if paths:
                lines.append(f"{len(paths)} {what}: {', '.join(paths[:3])}{', ...' if len(paths) > 3 else ''}")
        return "\n".join([*lines, *self.notes, *by_kind(self.problems)])

    def _table(self, looked_at: int) -> list[str]:
        rows = [("images", str(self.images)), ("  matched", str(self.matched)), ("  looked at", str(looked_at))]
        rows.append(("  marked", str(len(self.marked))))
        rows += [(f"    {label}", str(count)) for label, count in self.labels.most_common(12)]
        shares = sorted(one.share for one in self.marked)
        if shares:
            low, middle, high = quantiles(shares, n=4, method="inclusive") if len(shares) > 1 else shares * 3
            five = (shares[0], low, middle, high, shares[-1])
            rows.append(("marked share, least to most", "  ".join(f"{100 * share:.3g}%" for share in five)))
        width = max(len(name) for name, _ in rows)
        return [f"{name:{width}}  {value}" for name, value in rows]


def images_below(root: Path) -> list[str]:
    """The paths of all images below a folder.

    Raises:
        FileNotFoundError: There is no such folder, or no image in it.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {str(root)!r} of images{nearest_path(root)}.")
    found = [path.as_posix() for path in image_paths(root)]
    if not found:
        raise FileNotFoundError(f"There is no image below {str(root)!r}.")
    return found


def check(root: Path, images: list[str], regions: Mapping[str, Regions], sheet: Path) -> Findings:
    """Draw every annotation to check it, and show the oddest and some others on a contact sheet.

    Args:
        root: The images' folder.
        images: Their paths relative to it.
        regions: The regions that a reader returned.
        sheet: The PNG to write; nothing is written if no image has marks.

    Raises:
        FileExistsError: The sheet exists already.
        ValueError: No annotation matches an image, or the sheet's suffix is not that of a picture.
    """
    check_sheet(sheet)
    if isinstance(regions, Readings) and of_volumes_only(regions):
        images = with_series(root, images)
    sizes: dict[int, tuple[int, ...]] = {}
    annotations = FileAnnotations(images, regions, resize=True, size_of=sizes.__getitem__, ambiguous="unmatched")
    found = Findings(len(images), len(images) - len(annotations.without), annotations.without, annotations.unused)
    found.ambiguous, found.notes = annotations.ambiguous, annotations.said()
    if isinstance(regions, Readings):
        found.notes, found.problems = [*regions.notes, *found.notes], list(regions.problems)
    for index, path in tqdm(list(enumerate(images)), desc="Checking", disable=None):
        if annotations.marks(index) is not None:
            _look(root, index, path, annotations, sizes, found)
    found.problems += annotations.problems
    tiles = [
        one for index, why in most_odd(found.marked, SHOWN) if (one := _tile(root, index, why, annotations, images, found))
    ]
    if tiles:
        save_sheet(tiles, sheet)
    return found


def _look(
    root: Path, index: int, path: str, annotations: FileAnnotations, sizes: dict[int, tuple[int, ...]], found: Findings
) -> None:
    """Add one image's annotation to the findings."""
    before, problems = annotations.resized, len(annotations.problems)
    try:
        sizes[index] = volumes.size_of(root / path) if volumes.is_volume(root / path) else size_of(root / path)
        drawn = _drawn(annotations, index, sizes[index])
    except (OSError, ValueError) as error:
        kind = "unreadable" if isinstance(error, OSError) else "does not fit"
        found.problems.append(Problem("", path, "", kind, str(error)))
        return
    if annotations.resized > before:
        found.other_size.append(path)
    if drawn is None:
        found.unclear.append(path)
    elif not drawn.any():
        found.nothing_marked += 1
    else:
        both = any(one.kind.startswith("both") for one in annotations.problems[problems:])
        found.marked.append(seen(index, path, drawn, both))
        marks = annotations.marks(index)
        if isinstance(marks, ImageMarks):
            found.labels.update({mark.label or mark.side for mark in marks.marks})


def _drawn(annotations: FileAnnotations, index: int, size: tuple[int, ...]) -> Tensor | None:
    """An image's marks at the image's size, or at a smaller one if the image is large."""
    reduced = min(1.0, _LONGEST / max(size))
    smaller = [max(1, round(edge * reduced)) for edge in size]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkippedAnnotations)
        return annotations(index, torch.empty(1).expand(1, *smaller))


def _tile(
    root: Path, index: int, why: str, annotations: FileAnnotations, images: list[str], found: Findings
) -> Image.Image | None:
    """An image with its marks; None, with an entry in the problems, if its file cannot be read."""
    try:
        path = root / images[index]
        if volumes.is_volume(path):
            drawn = _drawn(annotations, index, volumes.size_of(path))
            if drawn is None:
                return None
            grey, marks = drawable_sample(volumes.read(path), drawn)
            return tile(Image.fromarray(grey[0].numpy()), marks, images[index], why)
        with opened(path) as image:
            drawn = _drawn(annotations, index, (image.height, image.width))
            return None if drawn is None else tile(image, drawn, images[index], why)
    except OSError as error:
        found.problems.append(Problem("", images[index], "", "unreadable", f"the image cannot be read: {error}"))
        return None
