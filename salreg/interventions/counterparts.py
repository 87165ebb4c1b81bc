"""Exchanges terms for their counterparts in token numbers, through the tokenizer that made them."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from salreg.annotations.counterparts import Counterparts


class Tokenizer(Protocol):
    """The methods a tokenizer needs; Hugging Face's have them."""

    def encode(self, text: str) -> Sequence[int]: ...

    def decode(self, tokens: Sequence[int]) -> str: ...


class Exchanged(NamedTuple):
    """Texts with their terms exchanged.

    Attributes:
        tokens: ``(B, T')``, padded on the same side as before.
        mask: 1 where a token is, 0 at padding ``(B, T')``.
        changed: Which texts had a term, booleans ``(B,)``; the others keep their numbers.
    """

    tokens: Tensor
    mask: Tensor
    changed: Tensor


class CounterpartIntervention:
    """Exchanges the terms of two groups in token numbers: they are decoded, exchanged as texts, and encoded again.

    Special tokens stay in place, and the tokens between two of them are a separate text. Reliance under substitution is
    ``salreg.metrics.functional.reliance(before, after, exchanged.changed)``.

    Args:
        counterparts: The terms.
        tokenizer: A Hugging Face tokenizer, or anything with ``encode`` and ``decode``.
        special: Token numbers that are not words; by default the tokenizer's ``all_special_ids``.
        padding: The number of padding; by default the tokenizer's ``pad_token_id``, or 0.

    Raises:
        ValueError: ``special`` is missing, and the tokenizer does not have it.

    Example:
        >>> class Words:
        ...     words = ["<pad>", "he", "she", "ran"]
        ...     def encode(self, text):
        ...         return [self.words.index(word) for word in text.split()]
        ...     def decode(self, tokens):
        ...         return " ".join(self.words[token] for token in tokens)
        >>> people = Counterparts({"gender": ["he", "she"]})
        >>> exchange = CounterpartIntervention(people, Words(), special=[0])
        >>> exchange(torch.tensor([[1, 3], [3, 0]]), "gender", "he", "she").tokens.tolist()
        [[2, 3], [3, 0]]
    """

    def __init__(
        self,
        counterparts: Counterparts,
        tokenizer: Any,
        *,
        special: Sequence[int] | None = None,
        padding: int | None = None,
    ) -> None:
        found = getattr(tokenizer, "all_special_ids", None) if special is None else special
        if found is None:
            raise ValueError("The tokenizer has no all_special_ids: give the numbers that are not words: special=[0].")
        own = getattr(tokenizer, "pad_token_id", None)
        self.counterparts = counterparts
        self.padding = int(padding if padding is not None else own if own is not None else 0)
        self.special = {int(one) for one in found} | {self.padding}
        self._encode, self._decode = _without_specials(tokenizer)

    def __call__(self, tokens: Tensor, axis: str, one: str, other: str) -> Exchanged:
        """Exchange the terms of two groups.

        Args:
            tokens: ``(B, T)``.
            axis: Of the lexicon.
            one: A group.
            other: Another one.

        Raises:
            ValueError: An unknown axis or group; or a text that decoding and encoding alone would change, so that a changed
                prediction could not be attributed to the term.
        """
        return self._rebuilt(tokens, lambda text: self.counterparts.exchanged(text, axis, one, other))

    def without(self, tokens: Tensor, axis: str, group: str) -> Exchanged:
        """Remove the terms of a group.

        Args:
            tokens: ``(B, T)``.
            axis: Of the lexicon.
            group: The group whose terms are removed.

        Raises:
            ValueError: As in ``__call__``.
        """
        return self._rebuilt(tokens, lambda text: self.counterparts.removed(text, axis, group))

    def _rebuilt(self, tokens: Tensor, change: Callable[[str], str]) -> Exchanged:
        rows, changed = [], []
        for row in tokens.tolist():
            new = self._row(row, change)
            rows.append(torch.tensor(new if new is not None else _stripped(row, self.padding), dtype=tokens.dtype))
            changed.append(new is not None)
        side: Literal["left", "right"] = "left" if _padded_left(tokens, self.padding) else "right"
        length = max(tokens.shape[1], *(len(row) for row in rows))
        padded = pad_sequence(
            [*rows, tokens.new_zeros(length)], batch_first=True, padding_value=self.padding, padding_side=side
        )
        mask = pad_sequence(
            [*(torch.ones_like(row) for row in rows), tokens.new_zeros(length)], batch_first=True, padding_side=side
        )
        return Exchanged(
            padded[:-1].to(tokens.device), mask[:-1].to(tokens.device), torch.tensor(changed, device=tokens.device)
        )

    def _row(self, row: list[int], change: Callable[[str], str]) -> list[int] | None:
        """The row with its terms changed; None where it has none."""
        made: list[int] = []
        touched = False
        for run, is_special in _runs(_stripped(row, self.padding), self.special):
            text = "" if is_special else self._decode(run)
            new = text if is_special else change(text)
            if new == text:
                made += run
                continue
            if list(self._encode(text)) != run:
                raise ValueError(
                    f"The tokens of {text[:60]!r} change when they are decoded and encoded again, so exchanging a term would "
                    "also change others. Exchange the texts before they are tokenised: Counterparts.exchanged."
                )
            made += self._encode(new)
            touched = True
        return made if touched else None


def _without_specials(tokenizer: Any) -> tuple[Callable[[str], Sequence[int]], Callable[[Sequence[int]], str]]:
    """Encoding and decoding; Hugging Face's add special tokens and tidy up spaces unless they are told not to."""
    if not hasattr(tokenizer, "all_special_ids"):
        return tokenizer.encode, tokenizer.decode
    return (
        lambda text: tokenizer.encode(text, add_special_tokens=False),
        lambda tokens: tokenizer.decode(tokens, clean_up_tokenization_spaces=False),
    )


def _runs(row: list[int], special: set[int]) -> list[tuple[list[int], bool]]:
    runs: list[tuple[list[int], bool]] = []
    for token in row:
        if not runs or runs[-1][1] != (token in special):
            runs.append(([], token in special))
        runs[-1][0].append(token)
    return runs


def _stripped(row: list[int], padding: int) -> list[int]:
    """The tokens without the padding in front and behind."""
    places = [place for place, token in enumerate(row) if token != padding]
    return row[places[0] : places[-1] + 1] if places else []


def _padded_left(tokens: Tensor, padding: int) -> bool:
    return bool((tokens[:, 0] == padding).any()) and not bool((tokens[:, -1] == padding).any())
