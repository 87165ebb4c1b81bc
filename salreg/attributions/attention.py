"""Attributions from a transformer's attention weights, on its tokens or its grid of patches."""

import math
from abc import abstractmethod
from math import isqrt
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import relu

from salreg import checks, scores
from salreg.attributions.base import Attribution
from salreg.differentiation import gradient_of
from salreg.scores import Score
from salreg.taps import ATTENTION, Recording

_REENTRANT = (
    "Reentrant activation checkpointing hides it: set use_reentrant=False (for a Hugging Face model: "
    "gradient_checkpointing_enable({'use_reentrant': False}))."
)

Reader = Literal["class_token", "mean"]


class AttentionAttribution(Attribution):
    """The base of the attributions from attention weights.

    They work with modules built on ``nn.MultiheadAttention``, which are made to compute their weights, and with Hugging Face
    models that return ``attentions``.

    Args:
        score: The score to explain, if gradients are used.
        read: Whose attention counts: that of the ``class_token`` (the first one), or the ``mean`` over all tokens.
        grid: ``(h, w)`` of the patches of an image. By default a square, with a class token in front if the remaining tokens
            form one.

    Returns when called:
        ``(B, 1, h, w)`` for images ``(B, C, H, W)``, without the class token; otherwise ``(B, T)``, one number per token.
        Non-negative.

    Raises:
        RuntimeError: The model returns no attention weights; the message says which option to change.
        ValueError: The tokens do not fit the grid, or layers attend over different numbers of tokens.
    """

    family = "attention"

    def __init__(
        self, score: str | Score = "target_logit", *, read: Reader = "class_token", grid: tuple[int, int] | None = None
    ) -> None:
        super().__init__(score, ATTENTION)
        checks.choice(("class_token", "mean"), read=read)
        checks.pair(grid=grid)
        self.read = read
        self.grid = grid

    @abstractmethod
    def relate(self, weights: list[Tensor], gradients: list[Tensor]) -> Tensor:
        """How much each token (first axis) draws on each other token, ``(B, T, T)``, from the weights ``(B, heads, T, T)`` of
        each layer and the score's gradients at them (empty if ``needs_gradients`` is false)."""

    #: Whether the map is made from gradients at the weights, too.
    needs_gradients = True

    def explain(
        self, recording: Recording, target: Tensor | None = None, *, create_graph: bool = False, scale: Any = None
    ) -> Tensor:
        weights = [one.float() if one.dtype in (torch.float16, torch.bfloat16) else one for one in recording.attention()]
        gradients: list[Tensor] = []
        if self.read == "class_token" and weights[0].shape[-1] > 1 and not bool(weights[0][:, :, 0, 1:].any()):
            raise ValueError(
                "The first token attends only to itself, as in a causal language model, so read='class_token' sees nothing of "
                "the text. Use read='mean'."
            )
        if self.needs_gradients:
            if not all(one.requires_grad for one in recording.attention()):
                raise RuntimeError(f"The attention weights carry no gradient. {_REENTRANT}")
            values = scores.evaluate(self.score, recording.require_logits(), target, recording.link)
            gradients = [gradient_of(values, one, create_graph=create_graph) for one in recording.attention()]
        related = self.relate(weights, gradients)
        tokens = related[:, 0] if self.read == "class_token" else related.mean(1)
        return self._arranged(tokens, recording)

    def _arranged(self, tokens: Tensor, recording: Recording) -> Tensor:
        given = recording.tensor_given()
        if self.grid is None and (given is None or given.ndim != 4):
            return tokens
        count = tokens.shape[1]
        side = isqrt(count) if isqrt(count) ** 2 == count else isqrt(count - 1)
        height, width = self.grid or (side, side)
        extra = count - height * width
        if extra not in (0, 1):
            raise ValueError(
                f"The attention runs over {count} tokens, which do not form a {height} x {width} grid of patches, with or "
                "without a class token in front; give grid=(h, w)."
            )
        return tokens[:, extra:].unflatten(1, (1, height, width))


class RawAttention(AttentionAttribution):
    """The attention weights of one layer, averaged over its heads.

    It uses no gradient: inside a penalty it trains only the layers up to that attention.

    Args:
        block: Which layer, counted from the first (0) or from the last (-1).
        read: Whose attention counts. For this and ``grid``, see ``AttentionAttribution``.

    Example:
        >>> layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        >>> net = torch.nn.Sequential(layer, torch.nn.Flatten(), torch.nn.Linear(40, 3))
        >>> map = RawAttention()(net, torch.randn(2, 5, 8))
        >>> map.shape
        torch.Size([2, 5])
    """

    needs_gradients = False

    def __init__(self, block: int = -1, *, read: Reader = "class_token", grid: tuple[int, int] | None = None) -> None:
        checks.whole(-math.inf, block=block)
        super().__init__("predicted_logit", read=read, grid=grid)
        self.block = block

    def relate(self, weights: list[Tensor], gradients: list[Tensor]) -> Tensor:
        if not -len(weights) <= self.block < len(weights):
            raise ValueError(f"There are {len(weights)} attention layers; there is no block {self.block}.")
        return weights[self.block].mean(1)


class AttentionRollout(AttentionAttribution):
    r"""Attention followed through all layers (Abnar & Zuidema 2020, eq. 1).

    .. math:: R = \prod_l \tfrac{1}{2} \big(\bar A_l + I\big)

    with the mean over the heads, and later layers on the left. It uses no gradient: inside a penalty it trains only the layers
    that compute the attention.

    Args:
        read: Whose attention counts. For this and ``grid``, see ``AttentionAttribution``.

    Example:
        >>> layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        >>> net = torch.nn.Sequential(layer, torch.nn.Flatten(), torch.nn.Linear(40, 3))
        >>> bool(torch.allclose(AttentionRollout()(net, torch.randn(2, 5, 8)).sum(1), torch.ones(2), atol=0.3))
        True
    """

    needs_gradients = False

    def __init__(self, *, read: Reader = "class_token", grid: tuple[int, int] | None = None) -> None:
        super().__init__("predicted_logit", read=read, grid=grid)

    def relate(self, weights: list[Tensor], gradients: list[Tensor]) -> Tensor:
        _same_tokens(weights)
        related = _identity(weights[0])
        for one in weights:
            related = 0.5 * (one.mean(1) @ related + related)
        return related


class GradientAttentionRollout(AttentionAttribution):
    r"""Chefer et al.'s relevance for one modality (2021, eqs. 5-6).

    .. math:: R \leftarrow R + \bar A_l R, \qquad \bar A_l = \tfrac{1}{H} \sum_h \mathrm{ReLU}(\nabla A_{lh} \odot A_{lh})

    starting from R = I, which is subtracted again at the end. Inside a penalty both A and its gradient are differentiated; the
    published training code (RobustViT) keeps the gradient constant.

    Arguments and shape are as for ``AttentionAttribution``; the map is in score units.

    Example:
        >>> layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        >>> net = torch.nn.Sequential(layer, torch.nn.Flatten(), torch.nn.Linear(40, 3))
        >>> GradientAttentionRollout()(net, torch.randn(2, 5, 8), torch.tensor([0, 1])).shape
        torch.Size([2, 5])
    """

    def relate(self, weights: list[Tensor], gradients: list[Tensor]) -> Tensor:
        _same_tokens(weights)
        identity = _identity(weights[0])
        related = identity
        for one, gradient in zip(weights, gradients, strict=True):
            related = related + relu(gradient * one).mean(1) @ related
        return related - identity


class LeGrad(AttentionAttribution):
    r"""LeGrad (Bousselham et al. 2024): the positive gradient at the attention itself.

    .. math:: M = \tfrac{1}{L} \sum_l \tfrac{1}{H T} \sum_{h, q} \mathrm{ReLU}\big(\partial s / \partial A_{lhq}\big)

    The method takes the mean over the queries q, so there is no ``read`` to choose. It departs from the paper in that s is the
    model's own score at every layer; the paper passes each layer's tokens through the last norm and classifier to get a score
    per layer, which only some architectures allow.

    Args:
        score: The score to explain.
        grid: See ``AttentionAttribution``.

    Example:
        >>> layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        >>> net = torch.nn.Sequential(layer, torch.nn.Flatten(), torch.nn.Linear(40, 3))
        >>> LeGrad()(net, torch.randn(2, 5, 8), torch.tensor([0, 1])).shape
        torch.Size([2, 5])
    """

    def __init__(self, score: str | Score = "target_logit", *, grid: tuple[int, int] | None = None) -> None:
        super().__init__(score, read="mean", grid=grid)

    def relate(self, weights: list[Tensor], gradients: list[Tensor]) -> Tensor:
        _same_tokens(weights)
        return torch.stack([relu(gradient).mean(1) for gradient in gradients]).mean(0)


def _identity(weights: Tensor) -> Tensor:
    return torch.eye(weights.shape[-1], dtype=weights.dtype, device=weights.device).expand(len(weights), -1, -1)


def _same_tokens(weights: list[Tensor]) -> None:
    shapes = {tuple(one.shape[-2:]) for one in weights}
    if len(shapes) > 1 or any(rows != columns for rows, columns in shapes):
        raise ValueError(
            f"The layers attend over different tokens, {sorted(shapes)}: attention cannot be followed through them. "
            "RawAttention(block=...) reads one layer."
        )
