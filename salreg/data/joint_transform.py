"""Transforms of torchvision and kornia that move an annotation with its image."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

_TRIES = 8  # what happens with probability one half happens in one of them
#: From an image ``(C, H, W)`` and its annotation ``(1, H, W)`` to both, moved.
JointTransform = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def joint_transform(transform: Any) -> JointTransform:
    """Turn a library's transform into a function of an image and its annotation.

    Args:
        transform: A transform of ``torchvision.transforms.v2``, which is given a ``tv_tensors.Image`` and a
            ``tv_tensors.Mask``; one of ``kornia.augmentation``; or any function of an image and an annotation, which is used
            unchanged. The libraries move masks by nearest neighbour and fill what moves in with 0, unknown.

    Raises:
        TypeError: The transform is one of the older ``torchvision.transforms``, which do not support masks; or, when a sample
            is read, it is a custom subclass that does not move masks.

    Example:
        >>> import torch
        >>> both = joint_transform(lambda image, annotation: (image.flip(-1), annotation.flip(-1)))
        >>> both(torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[-1, 0]]]))[1]
        tensor([[[ 0, -1]]])
    """
    kinds = [one.__module__.split(".") for one in type(transform).__mro__]
    if any(kind[0] == "kornia" for kind in kinds):
        from kornia.augmentation import AugmentationSequential

        both = transform if isinstance(transform, AugmentationSequential) else AugmentationSequential(transform)
        return partial(_by_kornia, both)
    if any(kind[:3] == ["torchvision", "transforms", "v2"] for kind in kinds):
        return partial(_by_torchvision, transform) if kinds[0][0] == "torchvision" else _OfOnesOwn(transform)
    if any(kind[0] == "torchvision" for kind in kinds):
        raise TypeError(
            f"{type(transform).__name__} is from torchvision.transforms, which moves only images. Use the one of that name in "
            "torchvision.transforms.v2, which also moves marks."
        )
    return transform


class _OfOnesOwn:
    """A user's subclass of a torchvision transform, used only once it is known to move masks with their images."""

    def __init__(self, transform: Callable[..., Any]) -> None:
        self.transform = transform
        self._tried = False

    def __call__(self, image: Tensor, annotation: Tensor) -> tuple[Tensor, Tensor]:
        if not self._tried:
            with torch.random.fork_rng(devices=[]):
                self._try(image)
            self._tried = True
        return _by_torchvision(self.transform, image, annotation)

    def _try(self, image: Tensor) -> None:
        """Move a white rectangle and its mask.

        Raises:
            TypeError: The rectangle moves and the mask does not.
        """
        height, width = image.shape[-2:]
        mask = torch.zeros(1, height, width, dtype=torch.int8)
        mask[:, height // 8 : height // 2, width // 8 : width // 3] = 1
        for seed in range(_TRIES):
            torch.manual_seed(seed)
            white, moved = _by_torchvision(self.transform, mask.to(image).expand_as(image).contiguous(), mask)
            if white.shape[-2:] != moved.shape[-2:] or not (_same(white[:1], moved) or _same(-white[:1], moved)):
                raise TypeError(
                    f"{type(self.transform).__name__} moves images but not masks, so marks would end up in the wrong place. In "
                    "a subclass of a transform of torchvision.transforms.v2, transform() gets a tv_tensors.Image and a "
                    "tv_tensors.Mask one after the other: move both by the same parameters, from make_params()."
                )


def _same(white: Tensor, mask: Tensor) -> bool:
    """Whether the pixels brighter than the middle are those of the mask, except at edges."""
    low, high = white.min(), white.max()
    bright, held = white > (low + high) / 2, mask > 0
    union = int((bright | held).sum())
    return union == 0 or int((bright & held).sum()) > 0.5 * union


def _by_torchvision(transform: Callable[..., Any], image: Tensor, annotation: Tensor) -> tuple[Tensor, Tensor]:
    from torchvision import tv_tensors

    moved = transform(tv_tensors.Image(image), tv_tensors.Mask(annotation))
    return moved[0].as_subclass(Tensor), moved[1].as_subclass(Tensor)


def _by_kornia(transform: Callable[..., Any], image: Tensor, annotation: Tensor) -> tuple[Tensor, Tensor]:
    images, masks = transform(image[None], annotation[None].to(image), data_keys=["input", "mask"])
    return images[0], masks[0].to(annotation.dtype)
