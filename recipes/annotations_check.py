"""``salreg annotations check``: do a file's regions fit the images, and what do they look like?"""

from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from salreg.readers import FileAnnotations, Regions
from salreg.recipes.contact_sheet import SHOWN, contact_sheet, tile
from salreg.recipes.image_files import image_paths


@dataclass
class Findings:
    """What a check found. Lists hold paths below the images' folder; ``wrong`` says what is wrong with a path.

    Attributes:
        images: How many there are.
        without: Those that nobody looked at.
        nothing_marked: How many were looked at without anything being marked.
        shares: The marked share of each marked image's pixels, in (0, 1].
        spurious: How many have a spurious mark.
        relevant: How many have a relevant mark.
    """

    images: int = 0
    without: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    full: list[str] = field(default_factory=list)
    other_size: list[str] = field(default_factory=list)
    wrong: dict[str, str] = field(default_factory=dict)
    shares: list[float] = field(default_factory=list)
    nothing_marked: int = 0
    spurious: int = 0
    relevant: int = 0

    def __str__(self) -> str:
        marked = len(self.shares)
        looked_at = marked + self.nothing_marked
        lines = [
            f"{looked_at} of {self.images} images were looked at: {marked} marked ({self.spurious} spurious, {self.relevant} "
            f"relevant); {self.nothing_marked} looked at, nothing marked."
        ]
        if self.spurious and self.spurious == looked_at:
            lines.append(
                "Every image that was looked at has a spurious mark, so the presence of the thing cannot be learned from them: "
                "mark, or leave empty, some images that do not have the thing."
            )
        if self.shares:
            low, middle, high = (f"{100 * share:.3g}%" for share in (min(self.shares), median(self.shares), max(self.shares)))
            lines.append(f"Marked share of an image: {low} to {high}, median {middle}.")
        for what, paths in (
            ("images that nobody looked at", self.without),
            ("annotations without image", self.unused),
            ("annotations that mark everything", self.full),
            ("annotations of another size than their image", self.other_size),
            ("images or annotations that cannot be read", [f"{path} ({why})" for path, why in self.wrong.items()]),
        ):
            if paths:
                lines.append(f"{len(paths)} {what}: {', '.join(paths[:3])}{', ...' if len(paths) > 3 else ''}")
        return "\n".join(lines)


def images_below(root: Path) -> list[str]:
    """The paths of all images below a folder.

    Raises:
        FileNotFoundError: There is no such folder, or no image in it.
    """
    found = [path.as_posix() for path in image_paths(root)]
    if not found:
        raise FileNotFoundError(f"There is no image below {str(root)!r}.")
    return found


def check(root: Path, images: list[str], regions: dict[str, Regions], sheet: Path) -> Findings:
    """Draw every annotation, and some from all parts of the folder into a contact sheet.

    Args:
        root: The images' folder.
        images: Their paths below it.
        regions: From a reader.
        sheet: The PNG to write; nothing is written where no image has marks.

    Raises:
        FileExistsError: The sheet exists.
        ValueError: No annotation matches an image.
    """
    if sheet.exists():
        raise FileExistsError(f"{sheet} exists already; nothing was written. Name another one with --sheet.")
    annotations = FileAnnotations(images, regions, resize=True)
    found = Findings(len(images), without=annotations.without, unused=annotations.unused)
    marked: list[int] = []
    missing = set(annotations.without)
    annotated = [(index, path) for index, path in enumerate(images) if path not in missing]
    for index, path in tqdm(annotated, desc="Checking", disable=None):
        try:
            with Image.open(root / path) as opened:
                drawn = _drawn(annotations, index, opened)
        except (OSError, ValueError) as error:
            found.wrong[path] = str(error)
            continue
        if annotations.resized > len(found.other_size):
            found.other_size.append(path)
        if _counted(found, path, drawn):
            marked.append(index)
    tiles: list[Image.Image] = []
    for index in marked[:: max(1, len(marked) // SHOWN)][:SHOWN]:
        try:
            tiles.append(_tile(root, images[index], annotations, index))
        except OSError as error:  # an image that is cut off
            found.wrong[images[index]] = str(error)
    if tiles:
        contact_sheet(tiles).save(sheet)
    return found


def _drawn(annotations: FileAnnotations, index: int, image: Image.Image) -> Tensor:
    drawn = annotations(index, torch.empty(1, image.height, image.width))
    assert drawn is not None
    return drawn


def _counted(found: Findings, path: str, drawn: Tensor) -> bool:
    """Take one annotation into the findings; whether it marks anything."""
    share = float((drawn != 0).float().mean())
    if not share:
        found.nothing_marked += 1
        return False
    if share == 1:
        found.full.append(path)
    found.shares.append(share)
    found.spurious += bool((drawn < 0).any())
    found.relevant += bool((drawn > 0).any())
    return True


def _tile(root: Path, path: str, annotations: FileAnnotations, index: int) -> Image.Image:
    with Image.open(root / path) as image:
        return tile(image, _drawn(annotations, index, image), path)
