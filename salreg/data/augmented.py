"""Augmentation that moves images and their annotations together."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad
from torch.utils.data import Dataset

from salreg import checks
from salreg.annotations import resized
from salreg.data.annotated import AnnotatedSample
from salreg.data.annotated_dataset import AnnotatedDataset
from salreg.data.joint_transform import joint_transform
from salreg.taps import replace_tensor, tensors_in


class Augmented(Dataset[AnnotatedSample]):
    """An annotated dataset of images whose marks move with the image.

    Random flips and crops are drawn anew each time a sample is read, from torch's global random state, which a ``DataLoader``
    seeds differently for every worker and epoch.

    Args:
        base: The annotated dataset; the first tensor of its samples is the image ``(C, H, W)``, floating point, or a volume
            ``(C, D, H, W)``, whose slices are all moved alike.
        size: ``(H, W)`` to resize the image (bilinear, antialiased) and the annotation (nearest neighbour) to; None keeps the
            size.
        flip: Mirror half of the images at random, left to right.
        crop: The largest shift in pixels, in each direction; the pixels that move in are black and marked unknown.
        transform: A transform of ``torchvision.transforms.v2`` or ``kornia.augmentation``, or a function of an image and its
            annotation (``salreg.data.joint_transform``), applied last.

    Raises:
        TypeError: ``base`` is not an ``AnnotatedDataset``.
        ValueError: ``crop`` is negative or, when a sample is read, the annotation's size differs from its image's, before or
            after the transform.

    Example:
        >>> from torch.utils.data import TensorDataset
        >>> mark = torch.zeros(1, 8, 8, dtype=torch.int8)
        >>> mark[:, :4, :4] = -1
        >>> base = AnnotatedDataset(TensorDataset(torch.rand(2, 3, 8, 8), torch.arange(2)), {0: mark})
        >>> sample = Augmented(base, size=(4, 4), flip=True)[0]
        >>> sample.sample[0].shape, int(sample.annotation.sum())
        (torch.Size([3, 4, 4]), -4)
    """

    def __init__(
        self,
        base: AnnotatedDataset,
        size: tuple[int, int] | None = None,
        *,
        flip: bool = False,
        crop: int = 0,
        transform: Callable[..., Any] | None = None,
    ) -> None:
        if not isinstance(base, AnnotatedDataset):
            raise TypeError(f"Marks move with the images of an AnnotatedDataset, not of {type(base).__name__}.")
        checks.pair(size=size)
        checks.flag(flip=flip)
        checks.whole(0, crop=crop)
        self.base = base
        self.size = size
        self.flip = flip
        self.crop = crop
        self.transform = None if transform is None else joint_transform(transform)

    def __len__(self) -> int:
        return len(self.base)

    def __getitem__(self, index: int) -> AnnotatedSample:
        original = self.base[index]
        marks = original.only_annotation
        given = next(tensor for tensor in tensors_in(original.sample) if tensor.ndim in (3, 4))
        _check_sizes(index, given, marks)
        image, annotation = self._moved(given, marks)
        if self.transform is not None:
            image, annotation = self.transform(image, annotation)
            _check_sizes(index, image, annotation, " after the transform")
        return AnnotatedSample(replace_tensor(original.sample, given, image), annotation, original.looked_at)

    def _moved(self, image: Tensor, annotation: Tensor) -> tuple[Tensor, Tensor]:
        if self.size is not None and image.ndim == 4:
            raise ValueError("size is for images; resize volumes beforehand.")
        if self.size is not None and tuple(image.shape[-2:]) != self.size:
            image = interpolate(image.unsqueeze(0), self.size, mode="bilinear", antialias=True).squeeze(0)
            annotation = resized(annotation, self.size)
        if self.flip and torch.rand(()) < 0.5:
            image, annotation = image.flip(-1), annotation.flip(-1)
        if self.crop:
            height, width = image.shape[-2:]
            top, left = torch.randint(2 * self.crop + 1, (2,)).tolist()
            image, annotation = (
                pad(one, [self.crop] * 4)[..., top : top + height, left : left + width] for one in (image, annotation)
            )
        return image, annotation


def _check_sizes(index: int, image: Tensor, annotation: Tensor, when: str = "") -> None:
    sizes = tuple(annotation.shape[1:]), tuple(image.shape[1:])
    if sizes[0] != sizes[1]:
        raise ValueError(f"The annotation of sample {index} has size (H, W) = {sizes[0]}, but its image has {sizes[1]}{when}.")
