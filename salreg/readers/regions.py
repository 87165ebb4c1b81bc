"""What a file says of one image, kept small until it is drawn."""

from pathlib import PurePosixPath
from typing import Literal, Protocol

from torch import Tensor

Side = Literal["spurious", "relevant"]
SIDES: tuple[Side, ...] = ("spurious", "relevant")


class Regions(Protocol):
    """The marked regions of one image."""

    def draw(self, size: tuple[int, int]) -> Tensor:
        """The annotation ``(1, H, W)``, int8, in the size that the file states; in ``size`` (H, W) where it states none."""


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
