"""A dataset's images, reduced to a size small enough to keep all of them in memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from tqdm import tqdm

from salreg.annotations import marks
from salreg.data import AnnotatedDataset
from salreg.taps import tensors_in

_SOME = 16
_MOST = 6e4  # that half precision holds


@dataclass
class Reduced:
    """The reduced images of a dataset.

    Attributes:
        images: ``(N, C, h, w)``, half precision, with mean 0 and standard deviation 1 in each channel.
        sizes: ``(H, W)`` of each original image.
        own: The annotations ``(1, H, W)`` of the samples that somebody looked at, by index.
    """

    images: Tensor
    sizes: list[tuple[int, int]]
    own: dict[int, Tensor] = field(default_factory=dict)

    def marked(self) -> list[int]:
        """The samples that have a spurious mark."""
        return [index for index, annotation in self.own.items() if bool((annotation < 0).any())]

    def masks(self, chosen: list[int]) -> Tensor:
        """The spurious share of each cell, ``(n, 1, h, w)``, for samples that somebody looked at."""
        grid = self.images.shape[-2:]
        sides = [spurious(self.own[index]).unsqueeze(0) for index in chosen]
        return torch.cat([one if one.shape[-2:] == grid else interpolate(one, grid, mode="area") for one in sides])


def spurious(annotation: Tensor) -> Tensor:
    """The spurious side ``(1, H, W)`` of an annotation."""
    return marks(annotation.float()).spurious.amax(0, keepdim=True)


def image_of(sample: Any, index: int) -> Tensor:
    """The image ``(C, H, W)`` of a sample: its first floating point tensor of three axes.

    Raises:
        ValueError: There is none.
    """
    image = next((one for one in tensors_in(sample) if one.ndim == 3 and one.is_floating_point()), None)
    if image is None:
        raise ValueError(
            f"Sample {index} holds no image: no floating point tensor (C, H, W). Marks are carried over between images; for "
            "texts there is propagate_words, and a mark on a table's column applies to every row."
        )
    return image


def read(dataset: AnnotatedDataset, side: int, progress: bool) -> Reduced:
    """Read every sample once.

    Args:
        dataset: A dataset of images.
        side: The longer side of the grid, in cells; smaller images keep their own size.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: There is no sample; or one has no image, values that are not finite or a different number of channels, or
            its annotation differs in size from the image.
    """
    (height, width), mean, deviation = _survey(dataset, side)
    reduced = Reduced(torch.empty(len(dataset), len(mean), height, width, dtype=torch.float16), [])
    for index, image, annotation in tqdm(_samples(dataset), "Reading", len(dataset), disable=not progress):
        reduced.sizes.append((image.shape[-2], image.shape[-1]))
        small = image.detach().unsqueeze(0).float().cpu()
        if image.shape[-2:] != (height, width):
            small = interpolate(small, (height, width), mode="bilinear", antialias=True)
        reduced.images[index] = ((small[0] - mean) / deviation).clamp(-_MOST, _MOST)
        if annotation is not None:
            reduced.own[index] = annotation
    _normalise(reduced.images)
    return reduced


def _samples(dataset: AnnotatedDataset) -> Iterator[tuple[int, Tensor, Tensor | None]]:
    channels = None
    for index in range(len(dataset)):
        sample = dataset[index]
        image, annotation = image_of(sample.sample, index), sample.only_annotation
        channels = channels or len(image)
        if len(image) != channels:
            raise ValueError(f"Sample {index} has {len(image)} channels, but sample 0 has {channels}.")
        if not image.isfinite().all():
            raise ValueError(f"The image of sample {index} has values that are NaN or infinite: replace them, or leave it out.")
        if not sample.looked_at:
            yield index, image, None
            continue
        if annotation.ndim != 3 or annotation.shape[-2:] != image.shape[-2:]:
            raise ValueError(
                f"The annotation of sample {index} has shape {tuple(annotation.shape)}, but its image has {tuple(image.shape)}."
            )
        yield index, image, annotation


def _survey(dataset: AnnotatedDataset, side: int) -> tuple[tuple[int, int], Tensor, Tensor]:
    """From some of the images: the largest size, reduced to ``side``, and the mean and deviation ``(C, 1, 1)`` of their
    channels, in units of which half precision holds any values: of 16 bits, or of Hounsfield units."""
    if not len(dataset):
        raise ValueError("The dataset has no sample, so there are no marks to carry over.")
    sizes, moments = [], []
    for index in range(0, len(dataset), max(1, len(dataset) // _SOME)):
        image = image_of(dataset[index].sample, index).detach().cpu().double()
        sizes.append(image.shape[-2:])
        moments.append(torch.stack([image.mean((1, 2)), image.square().mean((1, 2))]))
    height, width = (max(size[axis] for size in sizes) for axis in (0, 1))
    shrunk = min(1.0, side / max(height, width))
    mean, squares = torch.stack([one for one in moments if one.shape == moments[0].shape]).mean(0).unsqueeze(2).unsqueeze(3)
    deviation = (squares - mean.square()).clamp(min=0).sqrt()
    varied = deviation > 1e-7 * mean.abs()  # what is left of rounding is none
    grid = max(1, round(height * shrunk)), max(1, round(width * shrunk))
    return grid, mean.float(), deviation.where(varied, mean.abs().clamp(min=1)).float()


def _normalise(images: Tensor) -> None:
    """Standardise in place, channel by channel, with statistics from some of the images."""
    some = images[:: max(1, len(images) // 1000)].float()
    mean, deviation = some.mean((0, 2, 3)), some.std((0, 2, 3)).clamp(min=1e-6)
    for image in images:
        image.copy_((image.float() - mean[:, None, None]) / deviation[:, None, None])
