"""What a file says of one image, kept small until it is drawn."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from salreg.annotations import from_mask

Side = Literal["spurious", "relevant"]
SIDES: tuple[Side, ...] = ("spurious", "relevant")


class Regions(Protocol):
    """The marked regions of one image."""

    def draw(self, size: tuple[int, int]) -> Tensor:
        """The annotation ``(1, H, W)``, int8, in the size that the file states; in ``size`` (H, W) where it states none.

        It is all zeros where somebody looked at the image and marked nothing.
        """


@dataclass(slots=True)
class Shapes(ABC):
    """Regions as a file describes them, by their side.

    Attributes:
        where: The file and the image, for errors.
        size: ``(H, W)`` that the file states; None where it states none.
        marks: What is marked, in the file's own terms; nothing where somebody looked and marked nothing.
    """

    where: str
    size: tuple[int, int] | None
    marks: dict[Side, list[Any]] = field(default_factory=dict)

    def draw(self, size: tuple[int, int]) -> Tensor:
        """See ``Regions``.

        Raises:
            ValueError: A malformed shape, or a spurious region that overlaps a relevant one.
        """
        size = self.size or size
        if not self.marks:
            return torch.zeros(1, *size, dtype=torch.int8)
        try:
            return from_mask(**{side: self.mask(shapes, size) for side, shapes in self.marks.items()})
        except (KeyError, ValueError) as error:
            raise ValueError(f"{self.where}: {error}") from error

    @abstractmethod
    def mask(self, shapes: list[Any], size: tuple[int, int]) -> Any:
        """Where any of these shapes lies: booleans of that size ``(H, W)``."""


def check_sides(sides: Mapping[str, Side]) -> None:
    """Raise a ``ValueError`` that names a category which is neither spurious nor relevant."""
    for name, side in sides.items():
        if side not in SIDES:
            raise ValueError(f"{name!r} is spurious or relevant, not {side!r}.")


def files_below(folder: Path) -> list[Path]:
    """The paths, below a folder, of everything in it, in order. Links that leave it are not followed."""
    root = folder.resolve()
    return [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.resolve().is_relative_to(root)]


def image_name(written: str, where: str) -> str:
    """An image's path below its root, without the suffix, by which annotations and images are matched.

    Args:
        written: The path as a file has it.
        where: What the file is called, for errors.

    Raises:
        ValueError: The path is empty or leaves the root.

    Example:
        >>> image_name("moles/003.jpg", "boxes.csv")
        'moles/003'
    """
    path = PurePosixPath(written.strip().replace("\\", "/"))
    if not path.name or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise ValueError(f"{where} names the image {written!r}, which is no path below the images' folder.")
    return str(path.with_suffix(""))
