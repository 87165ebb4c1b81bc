"""Labels that are the next token's number, as a batch has them whose module does not shift them itself."""

import torch
from torch import Tensor

from salreg.interventions.tokens import NO_LABEL


def are_of_next(labels: Tensor, tokens: Tensor) -> bool:
    """Whether each label ``(..., T)`` is the number of the token behind its own, and not its own."""
    there = labels != NO_LABEL
    behind = there[..., :-1]
    next_one = bool(behind.any()) and bool((labels[..., :-1] == tokens[..., 1:])[behind].all())
    return next_one and not bool((labels == tokens)[there].all())


def as_own(labels: Tensor, tokens: Tensor) -> Tensor:
    """The same labels beside the tokens that they name.

    The first token has none; where every place has a label, it is that token.
    """
    first = tokens[..., :1].to(labels) if bool((labels != NO_LABEL).all()) else torch.full_like(labels[..., :1], NO_LABEL)
    return torch.cat([first, labels[..., :-1]], -1)


def as_next(own: Tensor, before: Tensor, tokens_before: Tensor, tokens: Tensor) -> Tensor:
    """Labels beside the tokens that they name, once more in front of them.

    Args:
        own: What ``as_own`` made, moved along with the tokens.
        before: The labels as they were given; what is behind a text is told by them, if its last token is still there.
        tokens_before: The tokens as they were given.
        tokens: The tokens now.
    """
    stays = tokens_before[..., -1:] == tokens[..., -1:]
    return torch.cat([own[..., 1:], torch.where(stays, before[..., -1:], NO_LABEL)], -1)
