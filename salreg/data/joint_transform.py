"""Transforms of torchvision and kornia that move an annotation with its image."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

#: From an image ``(C, H, W)`` and its annotation ``(1, H, W)`` to both, moved.
JointTransform = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def joint_transform(transform: Any) -> JointTransform:
    """A transform of a library as one of an image and its annotation.

    Args:
        transform: Of ``torchvision.transforms.v2``, which is given a ``tv_tensors.Image`` and a ``tv_tensors.Mask``; of
            ``kornia.augmentation``; or any function of an image and an annotation, which is taken as it is. The libraries move
            masks by nearest neighbour, and what comes in from outside is 0, unknown.

    Example:
        >>> import torch
        >>> both = joint_transform(lambda image, annotation: (image.flip(-1), annotation.flip(-1)))
        >>> both(torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[-1, 0]]]))[1]
        tensor([[[ 0, -1]]])
    """
    library = type(transform).__module__.partition(".")[0]
    if library == "torchvision":
        return partial(_by_torchvision, transform)
    if library == "kornia":
        from kornia.augmentation import AugmentationSequential

        both = transform if isinstance(transform, AugmentationSequential) else AugmentationSequential(transform)
        return partial(_by_kornia, both)
    return transform


def _by_torchvision(transform: Callable[..., Any], image: Tensor, annotation: Tensor) -> tuple[Tensor, Tensor]:
    from torchvision import tv_tensors

    moved = transform(tv_tensors.Image(image), tv_tensors.Mask(annotation))
    return moved[0].as_subclass(Tensor), moved[1].as_subclass(Tensor)


def _by_kornia(transform: Callable[..., Any], image: Tensor, annotation: Tensor) -> tuple[Tensor, Tensor]:
    images, masks = transform(image[None], annotation[None].to(image), data_keys=["input", "mask"])
    return images[0], masks[0].to(annotation.dtype)
