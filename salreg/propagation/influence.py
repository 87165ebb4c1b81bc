"""Which samples to look at next: those where the network is uncertain, or where the trained model uses what was found."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, max_pool2d
from tqdm import tqdm

from salreg.data import AnnotatedDataset
from salreg.eval_mode import eval_mode
from salreg.propagation.reduced import image_of

Model = Callable[[Tensor], Tensor]


def uncertainty(probability: Tensor, threshold: float, region: float) -> Tensor:
    """The expected number of wrong pixels divided by the number of pixels in the region.

    Args:
        probability: The probability of each pixel, ``(n, h, w)``.
        threshold: The probability at which a pixel is equally likely to be either.
        region: The usual number of pixels in a region; the divisor if fewer were found.

    Returns:
        ``(n,)``, from 0.
    """
    odds = probability * (1 - threshold)
    even = odds / (odds + threshold * (1 - probability)).clamp(min=1e-6)
    return torch.minimum(even, 1 - even).flatten(1).sum(1) / even.flatten(1).sum(1).clamp(min=max(region, 1.0))


@torch.no_grad()
def influence(
    dataset: AnnotatedDataset, annotations: Sequence[Tensor], chosen: Sequence[int], model: Model, progress: bool = True
) -> list[float]:
    """How much a model's predictions change when the spurious region is filled with the mean of its surroundings.

    Args:
        dataset: A dataset of images.
        annotations: One ``(1, H, W)`` per sample.
        chosen: The indices of the samples to measure.
        model: A function from a batch of images ``(B, C, H, W)`` to logits ``(B, K)``, or to one logit per image, ``(B, 1)`` or
            ``(B,)``; a module is put in eval mode meanwhile.
        progress: Whether to show a progress bar.

    Returns:
        The Kullback-Leibler divergence in nats for each of ``chosen``; 0 if nothing is marked.

    Raises:
        ValueError: The model's output for an image is NaN.
    """
    device = next((one.device for one in model.parameters()), None) if isinstance(model, nn.Module) else None
    found = []
    with eval_mode(model) if isinstance(model, nn.Module) else nullcontext():
        for index in tqdm(chosen, "Influence", disable=not progress):
            region = annotations[index] < 0
            if not region.any():
                found.append(0.0)
                continue
            image = image_of(dataset.base[index], index).unsqueeze(0)
            logits = model(torch.cat([image, filled(image, region)]).to(device)).float()
            if logits.isnan().any():
                raise ValueError(f"The model's output for sample {index} is NaN, so its influence cannot be measured.")
            if logits[0].numel() == 1:  # of the second of two classes
                logits = torch.cat([torch.zeros(2, 1).to(logits), logits.view(2, 1)], 1)
            before, after = log_softmax(logits, 1)
            found.append(float((before.exp() * (before - after)).sum()))
    return found


def filled(image: Tensor, region: Tensor) -> Tensor:
    """An image ``(1, C, H, W)`` whose region ``(1, H, W)`` is the mean of a ring around it, channel by channel."""
    width = max(1, max(image.shape[-2:]) // 16)
    ring = max_pool2d(region.unsqueeze(0).float(), 2 * width + 1, 1, width).bool()[0] & ~region
    around = ring if ring.any() else torch.ones_like(region)
    mean = image[0][:, around[0]].mean(1)
    return torch.where(region, mean.view(1, -1, 1, 1), image)
