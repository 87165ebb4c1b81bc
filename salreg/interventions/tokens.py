"""Exchanges, removes and inserts marked spans of texts; all tensors that belong to the tokens follow."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from salreg.annotations import NO_PLACE, SPURIOUS
from salreg.interventions.donors import ENOUGH, Donor, DonorBank, other_donors
from salreg.interventions.grids import Fate
from salreg.interventions.text_places import Texts, random_places
from salreg.rng import Rng

#: The label of a token that has none, as losses ignore it.
NO_LABEL = -100


class _Spans(NamedTuple):
    """Runs of marked tokens.

    Attributes:
        text: The text of each ``(N,)``.
        start: Its first place ``(N,)``.
        number: Which one of its text it is ``(N,)``.
        tokens: The tokens of each, and their labels.
    """

    text: Tensor
    start: Tensor
    number: Tensor
    tokens: list[Donor]


class _Insertions(NamedTuple):
    """What is put into texts, in up to R slots each.

    Attributes:
        key: Where each token comes in, on the scale of the text's places ``(B, R * L)``; infinite where there is none.
        tokens: ``(B, R * L)``.
        place: The place beside which it comes ``(B, R * L)``.
        labels: Those of the tokens, of each kind ``(B, R * L)``.
    """

    key: Tensor
    tokens: Tensor
    place: Tensor
    labels: list[Tensor]


def change_texts(
    texts: Texts,
    fate: Fate,
    padding_token: int | None,
    bank: DonorBank,
    rng: Rng,
    *,
    moves: bool = False,
    exchange: bool = True,
) -> Texts:
    """Exchange spans between texts, remove them, and insert them where another text has its own, but never inside an answer.

    The batch keeps its length. If a text would become longer, its last unmarked words are dropped, those without a label first,
    but never words of an answer whose place is asked for. Places of answers follow their tokens.

    Args:
        texts: The texts to change.
        fate: What becomes of each text.
        padding_token: The token that pads a text that became shorter.
        bank: Spans in addition to those of the batch, if these are few; it stores some of them.
        rng: The random number generator.
        moves: Whether the replacement of a span goes to a random place instead of the span's own.
        exchange: Whether a span is replaced by another text's, or stays what it is and only moves.

    Raises:
        ValueError: A text became shorter, and its padding token is not known.
    """
    spans = _spans(texts)
    donors = spans.tokens
    enough = len(spans.text.unique()) >= ENOUGH
    if not enough or not len(bank):  # a batch without any may follow
        words = texts.tokens.masked_fill(texts.padding, 0)
        others = bank.beside(donors, list(words[spans.text]))
        if not enough:
            of_texts = [one for one in others if len(one) == 1 + len(texts.labels) and one[0].ndim == 1]
            donors = [*donors, *(tuple(part.to(texts.tokens) for part in one) for one in of_texts)]
    if not donors:
        return texts
    inserted = _insertions(texts, spans, donors, fate, rng, moves, exchange)
    return _spliced(texts, inserted, fate, padding_token)


def _spans(texts: Texts) -> _Spans:
    marked = (texts.annotation < 0) & ~texts.padding
    first = marked & ~torch.cat([torch.zeros_like(marked[:, :1]), marked[:, :-1]], 1)
    text, start = first.nonzero(as_tuple=True)
    number = first.cumsum(1)[text, start] - 1
    run = (first.flatten().cumsum(0) - 1)[marked.flatten()]
    lengths = run.bincount(minlength=len(text)).tolist()
    parts = [one[marked].split(lengths) for one in (texts.tokens, *texts.labels)]
    return _Spans(text, start, number, list(zip(*parts, strict=True)))


def _insertions(
    texts: Texts, spans: _Spans, donors: list[Donor], fate: Fate, rng: Rng, moves: bool, exchange: bool
) -> _Insertions:
    size, device = len(texts.tokens), texts.tokens.device
    slots = int(spans.number.max()) + 1 if len(spans.number) else 1
    own = torch.full((size, slots), -1, dtype=torch.long, device=device)
    own[spans.text, spans.number] = torch.arange(len(spans.text), device=device)
    start = own.clone()
    start[spans.text, spans.number] = spans.start
    like = _alike(spans.text, size, rng)
    place, key = random_places(texts, start, like, rng, moves)
    stays = torch.full_like(spans.text, not moves, dtype=torch.bool) | (place[spans.text, spans.number] < 0)
    at = spans.text[stays], spans.number[stays]
    place[at], key[at] = spans.start[stays], spans.start[stays].to(key)
    of_like, owned = own[like], spans.text.bincount(minlength=size)[like].unsqueeze(1)
    donor = other_donors(of_like[:, :1].expand_as(own), len(donors), rng, owned)  # another text's: one's own tells one's label
    donor = torch.where((of_like >= 0) & (owned == len(donors)), of_like, donor)
    first = torch.arange(slots, device=device) == 0
    comes = fate.present.unsqueeze(1) & torch.where(owned > 0, of_like >= 0, first)
    comes &= torch.where(fate.marked, own[:, 0] >= 0, fate.looked_at).unsqueeze(1)
    if exchange:
        comes &= (owned < len(donors)) | ~fate.marked.unsqueeze(1)  # the only donor has nothing to exchange
    else:
        donor = torch.where(own >= 0, own, donor)
    comes &= place >= 0
    table, *labels = (pad_sequence(list(part), batch_first=True) for part in zip(*donors, strict=True))
    length = torch.tensor([len(one[0]) for one in donors], device=device)
    along = torch.arange(table.shape[1], device=device)
    shown = comes.unsqueeze(2) & (along < length[donor].unsqueeze(2))
    keys = key.unsqueeze(2).where(shown, key.new_full((), torch.inf))  # one for a whole span, whose order a stable sort keeps
    places_of = place.clamp(min=0).unsqueeze(2).expand_as(keys)
    brought = [one[donor].flatten(1) for one in labels]
    return _Insertions(keys.flatten(1), table[donor].flatten(1), places_of.flatten(1), brought)


def _alike(owners: Tensor, size: int, rng: Rng) -> Tensor:
    """The number of the text ``(B,)`` whose places each one takes: its own if it has spans, and otherwise that of any that has
    some, if there is one. How many spans there are, and where, would tell what was put in."""
    own = torch.arange(size, device=owners.device)
    having = torch.isin(own, owners)
    others = having.nonzero().flatten()
    if not len(others) or bool(having.all()):
        return own
    drawn = (rng.uniform((size,), like=torch.empty(0, device=owners.device)) * len(others)).long()
    return torch.where(having, own, others[drawn])


def _spliced(texts: Texts, inserted: _Insertions, fate: Fate, padding_token: int | None) -> Texts:
    length = texts.tokens.shape[1]
    here = torch.arange(length, device=texts.tokens.device)
    gone = texts.padding | (texts.annotation < 0)
    kept = here.float().expand_as(gone).masked_fill(gone, torch.inf)
    overflow = (kept.isfinite().sum(1) + inserted.key.isfinite().sum(1) - length).clamp(min=0).unsqueeze(1)
    kept = kept.masked_fill(_giving_way(texts, kept, overflow), torch.inf)
    keys, order = torch.cat([kept, inserted.key], 1).sort(dim=1, stable=True)
    keys, order = keys[:, :length], order[:, :length]
    padding = keys.isinf()
    if bool(texts.padding[:, 0].any()) and not bool(texts.padding[:, -1].any()):  # to the left
        turn = (here - padding.sum(1, keepdim=True)) % length
        order, padding = order.gather(1, turn), padding.gather(1, turn)
    spans, whole = _moved_spans(texts.spans, order.masked_fill(padding, -1))
    whole &= ~padding.all(1) | texts.padding.all(1)  # no text is left without a token
    changes = fate.looked_at & whole
    shorter = (padding & ~texts.padding & changes.unsqueeze(1)).any()
    if padding_token is None and bool(shorter):
        raise ValueError(
            "A marked span was removed from a text, or exchanged for a shorter one, in batches that were never padded, so "
            "the padding token is not known. Use Intervention(padding_token=...). If the numbers are not words but the "
            "categories of a table, whose columns keep their places, pass them as floats (torch.nn.functional.one_hot). Or use "
            "intervene=False."
        )

    def moved(own: Tensor, new: Tensor, filler: int | float) -> Tensor:
        values = torch.cat([own, new.to(own)], 1).gather(1, order).masked_fill(padding, filler)
        return torch.where(changes.unsqueeze(1), values, own)

    return Texts(
        moved(texts.tokens, inserted.tokens, padding_token or 0),
        moved(texts.annotation, torch.full_like(inserted.tokens, SPURIOUS), NO_PLACE),
        moved(texts.padding, torch.zeros_like(inserted.tokens), True),
        [moved(one, one.gather(1, inserted.place), _at_padding(one, texts.padding)) for one in texts.beside],
        [
            moved(one, new, _at_padding(one, texts.padding, NO_LABEL))
            for one, new in zip(texts.labels, inserted.labels, strict=True)
        ],
        [torch.where(changes, new, one) for one, new in zip(texts.spans, spans, strict=True)],
        fate.looked_at & ~whole,
    )


def _giving_way(texts: Texts, kept: Tensor, overflow: Tensor) -> Tensor:
    """Which words ``(B, T)`` go so that the others have room: unmarked ones, from behind, those with a label last."""
    length = kept.shape[1]
    here = torch.arange(length, device=kept.device)
    ordinary = kept.isfinite() & (texts.annotation == 0)
    if len(texts.spans) == 2:
        ordinary &= ~((here >= texts.spans[0].unsqueeze(1)) & (here <= texts.spans[1].unsqueeze(1)))
    labelled = torch.zeros_like(ordinary)
    for one in texts.labels:
        labelled |= one != NO_LABEL
    turn = torch.where(ordinary, length - here + length * labelled, 3 * length)
    last = turn.sort(1).values.gather(1, (overflow - 1).clamp(min=0))
    return ordinary & (turn <= last) & (overflow > 0)


def _moved_spans(spans: Sequence[Tensor], order: Tensor) -> tuple[list[Tensor], Tensor]:
    """Where the tokens at some places are now, and the texts ``(B,)`` in which all of them are still there.

    Places behind the text, which losses ignore, stay.
    """
    whole, moved = torch.ones(len(order), dtype=torch.bool, device=order.device), []
    for one in spans:
        found = order == one.unsqueeze(1)
        inside = (one >= 0) & (one < order.shape[1])
        whole &= found.any(1) | ~inside
        moved.append(torch.where(inside, found.int().argmax(1).to(one), one))
    return moved, whole


def _at_padding(values: Tensor, padding: Tensor, otherwise: int = 0) -> int | float:
    """What a tensor holds at the padding; something else where nothing is padded: True in a mask that hides nothing yet."""
    found = values[padding]
    if not len(found) and values.dtype == torch.bool and not bool(values.any()):
        return True
    return found[0].item() if len(found) else otherwise
