"""Images and their annotations, resized, flipped and cropped together."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad
from torch.utils.data import Dataset

from salreg.annotations import resized
from salreg.data.annotated_dataset import AnnotatedDataset, AnnotatedSample
from salreg.taps import replace_tensor, tensors_in


class Augmented(Dataset[AnnotatedSample]):
    """An annotated dataset of images whose marks move with the image.

    Random flips and crops are drawn anew each time a sample is read, from torch's global random state, which a ``DataLoader``
    makes another one in every worker and epoch.

    Args:
        base: The annotated dataset; the first tensor of its samples is the image ``(C, H, W)``, floating point.
        size: ``(H, W)`` to bring image (bilinear, antialiased) and annotation (nearest neighbour) to; None keeps the size.
        flip: Mirror every other image, left to right.
        crop: Shift images by up to so many pixels in each direction; what comes in is black and unknown.

    Raises:
        TypeError: ``base`` is no ``AnnotatedDataset``.
        ValueError: A negative crop or, when a sample is read, an annotation of another size than its image.

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
        self, base: AnnotatedDataset, size: tuple[int, int] | None = None, *, flip: bool = False, crop: int = 0
    ) -> None:
        if not isinstance(base, AnnotatedDataset):
            raise TypeError(f"Marks move with the images of an AnnotatedDataset, not of {type(base).__name__}.")
        if crop < 0:
            raise ValueError(f"crop is a number of pixels of at least 0, not {crop}.")
        self.base = base
        self.size = size
        self.flip = flip
        self.crop = crop

    def __len__(self) -> int:
        return len(self.base)

    def __getitem__(self, index: int) -> AnnotatedSample:
        original = self.base[index]
        marks = original.only_annotation
        given = next(tensor for tensor in tensors_in(original.sample) if tensor.ndim == 3)
        if marks.shape[-2:] != given.shape[-2:]:
            sizes = tuple(marks.shape[-2:]), tuple(given.shape[-2:])
            raise ValueError(f"The annotation of sample {index} is of size (H, W) = {sizes[0]}, its image of {sizes[1]}.")
        image, annotation = self._moved(given, marks)
        return AnnotatedSample(replace_tensor(original.sample, given, image), annotation)

    def _moved(self, image: Tensor, annotation: Tensor) -> tuple[Tensor, Tensor]:
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
