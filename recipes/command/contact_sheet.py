"""Many images with their marks in one picture."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from salreg.plotting.fonts import font
from salreg.plotting.overlay import outlined, picture, to_bytes
from salreg.recipes.data.image_files import to_pixels

#: How many images a sheet shows.
SHOWN = 24
_COLUMNS, _SIDE = 6, 160


def tile(image: Image.Image, drawn: Tensor, caption: str, why: str = "") -> Image.Image:
    """An image with its annotation ``(1, H, W)`` outlined; below it, the end of its caption and why it is shown."""
    small = _eight_bits(image)
    small.thumbnail((_SIDE, _SIDE))
    enlarged = max(1, _SIDE // max(small.size))
    small = small.resize((enlarged * small.width, enlarged * small.height), Image.Resampling.NEAREST)
    pixels = torch.from_numpy(np.array(small)).permute(2, 0, 1)
    made = Image.new("RGB", (_SIDE + 10, _SIDE + 26 + 12 * bool(why)), "white")
    made.paste(Image.fromarray(to_bytes(outlined(picture(pixels), drawn))), (5, 5))
    write = ImageDraw.Draw(made)
    write.font = font(9)
    write.text((5, _SIDE + 9), caption[-26:], fill="black")
    write.text((5, _SIDE + 21), why, fill=(90, 90, 90))
    return made


def check_sheet(path: Path) -> None:
    """Before anything is computed, whether a sheet can be saved there.

    Raises:
        FileExistsError: The file exists already.
        ValueError: Its suffix is not that of a picture.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists already; nothing was written. Name another one with --sheet.")
    if path.suffix.lower() not in Image.registered_extensions():
        raise ValueError(f"The picture {str(path)!r} has no suffix of a known format: call it {path.stem}.png with --sheet.")


def save_sheet(tiles: list[Image.Image], path: Path) -> None:
    """Save tiles as one picture; missing folders are created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(tiles).save(path)


def contact_sheet(tiles: list[Image.Image]) -> Image.Image:
    """Arrange tiles of one size row by row."""
    width, height = tiles[0].size
    sheet = Image.new("RGB", (width * min(_COLUMNS, len(tiles)), height * -(-len(tiles) // _COLUMNS)), "white")
    for number, one in enumerate(tiles):
        sheet.paste(one, (width * (number % _COLUMNS), height * (number // _COLUMNS)))
    return sheet


def _eight_bits(image: Image.Image) -> Image.Image:
    """A picture with 8 bits per channel; 16 bits are stretched from the darkest value to the lightest."""
    if image.mode != "F" and not image.mode.startswith("I"):
        return image.convert("RGB")
    grey = to_pixels(image)
    low, high = grey.min(), grey.max()
    return Image.fromarray((255 * (grey - low) / (high - low).clamp(min=1e-9)).byte().permute(1, 2, 0).numpy())
