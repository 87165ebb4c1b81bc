"""Annotations of texts, from spans or masks of tokens, spans of characters, or words."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from salreg.annotations.signs import NO_PLACE, RELEVANT, SPURIOUS

Span = tuple[int, int]


def from_token_spans(length: int, *, spurious: Iterable[Span] = (), relevant: Iterable[Span] = ()) -> Tensor:
    """Mark spans of tokens or words.

    Args:
        length: The number of tokens or words, T.
        spurious: Spans ``(start, end)`` that the model must not use, counted from 0, the end excluded.
        relevant: Spans that it should use, in the same form.

    Returns:
        ``int8`` tensor ``(T,)``.

    Raises:
        ValueError: A span is empty or exceeds the text, or a token is marked on both sides.

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


def from_token_mask(*, spurious: Any = (), relevant: Any = (), attention_mask: Any = None) -> Tensor:
    """Mark the tokens of a mask, such as chat templates return with ``return_assistant_tokens_mask=True``.

    Args:
        spurious: Numbers or booleans ``(T,)``, 1 at tokens that the model must not use.
        relevant: The same for tokens that it should use.
        attention_mask: ``(T,)``, 0 at padding; padding becomes ``NO_PLACE``.

    Returns:
        ``int8`` tensor ``(T,)``.

    Raises:
        ValueError: The masks differ in length, there is none, or a token is marked on both sides.

    Example:
        >>> from_token_mask(spurious=[0, 1, 1, 0], attention_mask=[1, 1, 1, 0]).tolist()
        [0, -1, -1, 127]
    """
    masks = [torch.as_tensor(one).bool().view(-1) for one in (spurious, relevant)]
    length = max(len(one) for one in masks)
    seen = torch.ones(length) if attention_mask is None else torch.as_tensor(attention_mask).view(-1)
    lengths = {len(one) for one in (*masks, seen) if len(one)}
    if len(lengths) != 1:
        raise ValueError(f"A mask has one entry per token; these have {sorted(lengths) or 'none'}.")
    annotation = torch.where(seen != 0, 0, NO_PLACE).to(torch.int8)
    for value, mask in zip((SPURIOUS, RELEVANT), masks, strict=True):
        _mark(annotation, mask.nonzero().flatten(), value)
    return annotation


def from_character_spans(
    offsets: Any,
    *,
    spurious: Iterable[Span] = (),
    relevant: Iterable[Span] = (),
    truncated: bool = False,
    sequence_ids: Sequence[int | None] | None = None,
    of: int = 0,
    special: Any = None,
) -> Tensor:
    """Mark the tokens that overlap spans of characters.

    Args:
        offsets: ``(start, end)`` of each token in the text, ``(T, 2)``, as fast Hugging Face tokenizers return with
            ``return_offsets_mapping=True``. Special tokens and padding have ``(0, 0)``; they become ``NO_PLACE``.
        spurious: Spans ``(start, end)`` in characters, the end excluded, that the model must not use.
        relevant: Spans that it should use, in the same form.
        truncated: Whether the tokenizer may have truncated the text; if so, spans after the last token are ignored.
        sequence_ids: For a pair of texts, the text of each token: ``encoding.sequence_ids()``, None for special tokens.
        of: The text of the pair that the spans refer to: 0 is the first (the premise, the question), 1 the second. Tokens of
            the other text are not marked.
        special: ``(T,)``, 1 at tokens in the text that are not words, such as placeholders of an image; they become
            ``NO_PLACE``: ``torch.isin(input_ids, torch.tensor(tokenizer.all_special_ids))``.

    Returns:
        ``int8`` tensor ``(T,)``.

    Raises:
        ValueError: Offsets run backwards, a span is covered by no token, a token is marked on both sides, or ``special`` has a
            wrong length.

    Example:
        >>> offsets = [(0, 0), (0, 3), (3, 5), (6, 9), (0, 0)]  # [CLS] vid ##eo was [SEP]
        >>> from_character_spans(offsets, spurious=[(0, 5)]).tolist()
        [127, -1, -1, 0, 127]
    """
    edges = torch.as_tensor(offsets).view(-1, 2)
    others = _of_the_other(sequence_ids, of, len(edges))
    words = (edges[:, 1] > edges[:, 0]) & ~others & ~_are_special(special, len(edges))
    starts, ends = edges[:, 0], edges[:, 1]
    if (edges < 0).any() or (ends < starts).any() or (starts[words].diff() < 0).any():
        raise ValueError(
            "The offsets are not those of a tokenised text, where each token has a start and an end, in ascending order. If "
            "they start anew, they belong to a pair of texts: give sequence_ids=encoding.sequence_ids(), and of=0 or of=1 for "
            "the text that the spans refer to."
        )
    annotation = torch.where(words | others, 0, NO_PLACE).to(torch.int8)
    last = int(ends[words].max()) if words.any() else 0
    for value, spans in ((SPURIOUS, spurious), (RELEVANT, relevant)):
        for start, end in spans:
            covered = (words & (starts < end) & (ends > start)).nonzero().flatten()
            if 0 <= start < end and truncated and start >= last:
                continue
            if start < 0 or not len(covered):
                raise ValueError(
                    f"No token covers the characters {start} to {end}: the tokens end at character {last}. Do the offsets "
                    "belong to this text? If the tokenizer truncates texts, use truncated=True."
                )
            _mark(annotation, covered, value)
    return annotation


def _are_special(special: Any, length: int) -> Tensor:
    if special is None:
        return torch.zeros(length, dtype=torch.bool)
    found = torch.as_tensor(special).bool().view(-1)
    if len(found) != length:
        raise ValueError(f"special has one entry per token: {length} of them, not {len(found)}.")
    return found


def on_subwords(
    annotation: Tensor, word_ids: Sequence[int | None], *, sequence_ids: Sequence[int | None] | None = None, of: int = 0
) -> Tensor:
    """Transfer the marks of words to the tokens that they were split into.

    Args:
        annotation: The annotation of the words ``(W,)``.
        word_ids: The word of each token, None for special tokens and padding: ``encoding.word_ids()`` of a fast Hugging Face
            tokenizer that was called with ``is_split_into_words=True``.
        sequence_ids: For a pair of texts, the text of each token. For this and ``of``, see ``from_character_spans``.

    Returns:
        ``(T,)``, with ``NO_PLACE`` where there is no word.

    Raises:
        ValueError: A token belongs to a word that does not exist, or there are words of two texts but no ``sequence_ids``.

    Example:
        >>> on_subwords(torch.tensor([0, -1], dtype=torch.int8), [None, 0, 1, 1, None]).tolist()
        [127, 0, -1, -1, 127]
    """
    others = _of_the_other(sequence_ids, of, len(word_ids)).tolist()
    own = [None if other else word for word, other in zip(word_ids, others, strict=True)]
    known = [word for word in own if word is not None]
    if any(after < before for before, after in pairwise(known)):
        raise ValueError(
            "The word numbers start anew, so the tokens belong to two texts: give sequence_ids=encoding.sequence_ids(), and "
            "of=0 or of=1 for the text that the annotation belongs to."
        )
    beyond = [word for word in known if not 0 <= word < len(annotation)]
    if beyond:
        raise ValueError(f"A token belongs to word {beyond[0]}, but {len(annotation)} words are annotated: not the same text.")
    marks = [
        annotation[word] if word is not None else 0 if other else NO_PLACE for word, other in zip(own, others, strict=True)
    ]
    return torch.tensor(marks, dtype=annotation.dtype)


def _of_the_other(sequence_ids: Sequence[int | None] | None, of: int, count: int) -> Tensor:
    """Which tokens belong to the other text of a pair."""
    if sequence_ids is None:
        return torch.zeros(count, dtype=torch.bool)
    if len(sequence_ids) != count or of not in sequence_ids:
        there = sorted({one for one in sequence_ids if one is not None})
        raise ValueError(f"sequence_ids has {len(sequence_ids)} entries for {count} tokens, of the texts {there}; of is {of}.")
    return torch.tensor([one is not None and one != of for one in sequence_ids])


def _mark(annotation: Tensor, tokens: Tensor, value: int) -> None:
    if (annotation[tokens] == -value).any():
        token = int(tokens[annotation[tokens] == -value][0])
        raise ValueError(f"Token {token} is marked both spurious and relevant.")
    annotation[tokens] = value
