"""Random transforms of a dataset that move pixels, which annotations beside the dataset cannot follow."""

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from inspect import getattr_static
from typing import Any

from torch import Tensor, nn

from salreg.taps import tensors_in

_MOVES = re.compile("Flip|Crop|Rotat|Affine|Perspective|Elastic|Distort|Zoom|Transpose|(Rand|Auto|Trivial)Augment|AugMix")
_ALWAYS_ALIKE = re.compile("^(Center|Five|Ten)?(Spatial)?Cropd?$")
_TRANSFORMS = ("transform", "transforms", "augment", "augmentation", "augmentations")
_DATASETS = ("base", "dataset", "datasets")
REMEDY = (
    "and annotations do not move along, so marks would lie elsewhere. Remove such transforms from the base, and apply them to "
    "both: salreg.data.Augmented(AnnotatedDataset(base, annotations), transform=...)."
)


def warn_of_moving_transforms(base: Any) -> None:
    """Warn of transforms that a base dataset holds, and whose names say that they move pixels at random.

    Example:
        >>> class RandomHorizontalFlip: ...
        >>> class Photos: transform = RandomHorizontalFlip()
        >>> with warnings.catch_warnings(record=True) as said:
        ...     warn_of_moving_transforms(Photos())
        >>> "move pixels at random (RandomHorizontalFlip)" in str(said[0].message)
        True
    """
    names = list(dict.fromkeys(name for name in _names(base, set()) if _MOVES.search(name) and not _ALWAYS_ALIKE.search(name)))
    if names:
        warnings.warn(f"Transforms of the base dataset move pixels at random ({', '.join(names)}), {REMEDY}", stacklevel=3)


def moved_when_read_again(base: Any, indices: Sequence[int], times: int = 3) -> bool:
    """Whether a dataset returns the same values at other places when a sample is read again, as with a random flip of its own.

    Noise and colours that change are something else, and cannot be told from a crop.

    Args:
        base: The dataset.
        indices: The samples to read.
        times: How often to read each again.
    """
    for index in indices:
        first = _images(base[index])
        for _ in range(times):
            again = _images(base[index])
            if any(_is_moved(one, other) for one, other in zip(first, again, strict=False)):
                return True
    return False


def _names(holder: Any, seen: set[int]) -> Iterator[str]:
    """The class names of all transforms that a dataset, or another transform, holds at any depth."""
    if id(holder) in seen:
        return
    seen.add(id(holder))
    for one in _each(getattr_static(holder, name, None) for name in _DATASETS):
        yield from _names(one, seen)
    inner = holder.children() if isinstance(holder, nn.Module) else ()
    for one in _each([*(getattr_static(holder, name, None) for name in _TRANSFORMS), *inner]):
        yield type(one).__name__
        yield from _names(one, seen)


def _each(held: Iterable[Any]) -> Iterator[Any]:
    """What is held, lists one by one."""
    for one in held:
        if isinstance(one, list | tuple):
            yield from _each(one)
        elif one is not None and not isinstance(one, property | Tensor):
            yield one


def _images(sample: Any) -> list[Tensor]:
    return [one for one in tensors_in(sample) if one.ndim > 1 and one.is_floating_point()]


def _is_moved(one: Tensor, other: Tensor) -> bool:
    """Whether two images hold the same values in another order."""
    if one.shape != other.shape or bool((one == other).all()):
        return False
    return bool((one.flatten().sort().values == other.flatten().sort().values).all())
