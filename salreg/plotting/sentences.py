"""Selects the sentences of a long text to show: the marked and the most salient ones."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from salreg.annotations import places

#: A text with at most this many tokens is shown whole.
MOST_TOKENS = 200
_FOREMOST = 100  # tokens shown of a longer one, approximately
_LONGEST = 40  # tokens of a sentence; longer sentences are split
_ENDS = (".", "!", "?", "。", "！", "？")


def foremost(words: Sequence[str], annotation: Tensor, maps: Iterable[Tensor]) -> list[int]:
    """The tokens of a text to show, in order.

    All tokens of a short text are shown. Of a longer text, whole sentences with about 100 tokens in total are shown: first the
    marked ones, then those with the most salient tokens; without maps and marks, the beginning.

    Args:
        words: One word per token.
        annotation: ``(T,)``; places with ``NO_PLACE`` are not shown.
        maps: ``(T,)`` each, at least 0, such as those of several epochs, which count alike.

    Example:
        >>> words = ["it", "was", "fine", "."] * 100
        >>> saliency, nothing = torch.zeros(400), torch.zeros(400)
        >>> saliency[322] = 1.0
        >>> 320 in foremost(words, nothing, [saliency]), 324 in foremost(words, nothing, [saliency])
        (True, False)
    """
    shown = [token for token in places(annotation).nonzero().flatten().tolist() if token < len(words)]
    if len(shown) <= MOST_TOKENS:
        return shown
    share = sum((_share(one) for one in maps), torch.zeros(len(annotation)))
    ordered = sorted(
        sentences(words, shown),
        key=lambda one: (not bool((annotation[one] != 0).any()), -float(share[one].max())),
    )
    chosen: list[int] = []
    for one in ordered:
        if len(chosen) < _FOREMOST:
            chosen += one
    return sorted(chosen)


def sentences(words: Sequence[str], tokens: Sequence[int]) -> list[list[int]]:
    """The tokens of each sentence: up to a full stop, a question mark or an exclamation mark, and 40 of them at most.

    Example:
        >>> sentences(["so", "what", "?", "fine", "."], range(5))
        [[0, 1, 2], [3, 4]]
    """
    found: list[list[int]] = [[]]
    for token in tokens:
        found[-1].append(token)
        if words[token].endswith(_ENDS) or len(found[-1]) == _LONGEST:
            found.append([])
    return [one for one in found if one]


def _share(saliency: Tensor) -> Tensor:
    """The share of a map on each token; 0 for an empty map."""
    values = saliency.detach().float().cpu().nan_to_num(posinf=0.0).clamp(min=0)
    return values / values.sum().clamp(min=torch.finfo(torch.float32).tiny)
