"""Annotations of texts: from spans of tokens or characters, or from a list of words."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from salreg.annotations.signs import NO_PLACE, RELEVANT, SPURIOUS

Span = tuple[int, int]


def from_token_spans(length: int, *, spurious: Iterable[Span] = (), relevant: Iterable[Span] = ()) -> Tensor:
    """Mark spans of tokens or words.

    Args:
        length: How many there are, T.
        spurious: ``(start, end)`` of what the model must not use, counted from 0, the end excluded.
        relevant: Of what it should use, likewise.

    Returns:
        ``int8`` tensor ``(T,)``.

    Raises:
        ValueError: A span that is empty or reaches out of the text, or a token on both sides.

    Example:
        >>> from_token_spans(5, spurious=[(0, 1)], relevant=[(2, 4)]).tolist()
        [-1, 0, 1, 1, 0]
    """
    annotation = torch.zeros(length, dtype=torch.int8)
    for value, spans in ((SPURIOUS, spurious), (RELEVANT, relevant)):
        for start, end in spans:
            if not 0 <= start < end <= length:
                raise ValueError(f"The span ({start}, {end}) does not lie in a text of {length} tokens.")
            _mark(annotation, torch.arange(start, end), value)
    return annotation


def from_character_spans(
    offsets: Any,
    *,
    spurious: Iterable[Span] = (),
    relevant: Iterable[Span] = (),
    truncated: bool = False,
) -> Tensor:
    """Mark the tokens that overlap spans of characters.

    Args:
        offsets: ``(start, end)`` of each token in the text, as fast Hugging Face tokenizers give with
            ``return_offsets_mapping=True``: ``(T, 2)``. Special tokens and padding have ``(0, 0)``; they become ``NO_PLACE``.
        spurious: ``(start, end)`` in characters, the end excluded.
        relevant: Likewise.
        truncated: Whether the tokenizer may have cut the text: spans behind the last token are left out then.

    Returns:
        ``int8`` tensor ``(T,)``.

    Raises:
        ValueError: Offsets that run backwards, a span that no token covers, or a token on both sides.

    Example:
        >>> offsets = [(0, 0), (0, 3), (3, 5), (6, 9), (0, 0)]  # [CLS] vid ##eo was [SEP]
        >>> from_character_spans(offsets, spurious=[(0, 5)]).tolist()
        [127, -1, -1, 0, 127]
    """
    edges = torch.as_tensor(offsets).view(-1, 2)
    words = edges[:, 1] > edges[:, 0]
    starts, ends = edges[:, 0], edges[:, 1]
    if (edges < 0).any() or (ends < starts).any() or (starts[words].diff() < 0).any():
        raise ValueError("The offsets are no tokenisation: each token has a start and an end in the text, in rising order.")
    annotation = torch.where(words, 0, NO_PLACE).to(torch.int8)
    last = int(ends.max()) if words.any() else 0
    for value, spans in ((SPURIOUS, spurious), (RELEVANT, relevant)):
        for start, end in spans:
            covered = (words & (starts < end) & (ends > start)).nonzero().flatten()
            if 0 <= start < end and truncated and start >= last:
                continue
            if start < 0 or not len(covered):
                raise ValueError(
                    f"No token covers the characters {start} to {end}: the tokens end at character {last}. Are the offsets "
                    "those of this text? If the tokenizer cuts texts, say truncated=True."
                )
            _mark(annotation, covered, value)
    return annotation


def from_lexicon(words: Sequence[str], *, spurious: Collection[str] = (), relevant: Collection[str] = ()) -> Tensor:
    """Mark the words that are in a list, whatever their case.

    Args:
        words: The text, word by word.
        spurious: Words that the model must not use.
        relevant: Words that it should use.

    Returns:
        ``int8`` tensor ``(T,)``.

    Raises:
        TypeError: A text, or a list of words, that is one string.
        ValueError: A word in both lists.

    Example:
        >>> from_lexicon(["He", "acts", "well"], spurious={"he", "she"}).tolist()
        [-1, 0, 0]
    """
    if isinstance(words, str) or isinstance(spurious, str) or isinstance(relevant, str):
        raise TypeError("Words are a list of strings, not one string: use text.split().")
    lists = [({word.lower() for word in chosen}, value) for chosen, value in ((spurious, SPURIOUS), (relevant, RELEVANT))]
    both = lists[0][0] & lists[1][0]
    if both:
        raise ValueError(f"{sorted(both)[0]!r} is in both lists, spurious and relevant.")
    return torch.tensor([sum(value for chosen, value in lists if word.lower() in chosen) for word in words], dtype=torch.int8)


def on_subwords(annotation: Tensor, word_ids: Sequence[int | None]) -> Tensor:
    """Carry the marks of words over to the tokens that they were split into.

    Args:
        annotation: Of the words ``(W,)``.
        word_ids: The word of each token, None for special tokens and padding: ``encoding.word_ids()`` of a fast Hugging Face
            tokenizer that was called with ``is_split_into_words=True``.

    Returns:
        ``(T,)``, ``NO_PLACE`` where there is no word.

    Raises:
        ValueError: A token of a word that is not there.

    Example:
        >>> on_subwords(torch.tensor([0, -1], dtype=torch.int8), [None, 0, 1, 1, None]).tolist()
        [127, 0, -1, -1, 127]
    """
    beyond = [word for word in word_ids if word is not None and not 0 <= word < len(annotation)]
    if beyond:
        raise ValueError(f"A token belongs to word {beyond[0]}, but {len(annotation)} words are annotated: not the same text.")
    return torch.tensor([NO_PLACE if word is None else annotation[word] for word in word_ids], dtype=annotation.dtype)


def _mark(annotation: Tensor, tokens: Tensor, value: int) -> None:
    if (annotation[tokens] == -value).any():
        token = int(tokens[annotation[tokens] == -value][0])
        raise ValueError(f"Token {token} is marked both spurious and relevant.")
    annotation[tokens] = value
