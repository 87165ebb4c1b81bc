"""From samples of any kind to what the pictures know: images, signals, texts and rows of a table."""

from torch import Tensor

from salreg.annotations import in_any_channel

_MOST_COLUMNS = 64  # of a table that nobody named: what is longer is a signal


def drawable_maps(saliency: Tensor, annotation: Tensor) -> list[Tensor]:
    """What is drawn of each map: ``(H, W)`` of images, and of the slice of a volume or video that ``drawable_sample`` takes;
    ``(T, F)`` of series with features; ``(T,)`` or ``(F,)`` of texts and tables. All at least 0.

    Args:
        saliency: ``(B, ...)``, on the annotations' grid.
        annotation: ``(B, ...)``.
    """
    saliency, annotation = saliency.abs(), annotation.cpu()
    if saliency.ndim == 5:
        return [one.sum(0)[_slice(mark)] for one, mark in zip(saliency, annotation, strict=True)]
    keeps_both = saliency.ndim == 3 and annotation.ndim == 3 and annotation.shape[1] == saliency.shape[1] > 1
    return list(saliency if saliency.ndim == 2 or keeps_both else saliency.sum(1))


def drawable_sample(sample: Tensor, annotation: Tensor, names: object = None) -> tuple[Tensor, Tensor]:
    """A sample and its annotation as they are drawn. Of a volume or a video ``(C, D, H, W)`` it is the slice with the most
    marks, or the middle one; a series with features ``(T, F)`` is an image; of what has more than 64 numbers without names, and
    of channels over time, the curve is drawn: a signal ``(C, T)``.

    Example:
        >>> import torch
        >>> marks = torch.zeros(1, 5, 8, 8)
        >>> marks[:, 3] = -1
        >>> drawable_sample(torch.rand(2, 5, 8, 8), marks)[0].shape
        torch.Size([2, 8, 8])
    """
    if annotation.ndim > 2 and len(annotation) > 1:
        annotation = in_any_channel(annotation.unsqueeze(0)).squeeze(0)
    if sample.ndim == 4:
        index = _slice(annotation)
        return sample[:, index], annotation[:, index]
    if sample.ndim == 2 and sample.is_floating_point() and annotation.shape == sample.shape and len(sample) > 1:
        return sample.unsqueeze(0), annotation.unsqueeze(0)
    if sample.ndim == 1 and sample.is_floating_point() and len(sample) > _MOST_COLUMNS and names is None:
        return sample.unsqueeze(0), annotation
    return sample, annotation


def _slice(annotation: Tensor) -> int:
    """The slice of an annotation ``(1, D, H, W)`` that shows most of it."""
    marked = annotation.ne(0).flatten(2).sum(2).sum(0)
    return int(marked.argmax()) if marked.any() else annotation.shape[1] // 2
