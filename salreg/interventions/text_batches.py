"""Batches of texts in which marked words change, together with the tensors that belong to the words."""

from collections.abc import Collection, Sequence
from typing import Any, Literal, NamedTuple

from torch import Tensor

from salreg.interventions.beside import beside_tokens, padding_of, positions_of
from salreg.interventions.donors import DonorBank
from salreg.interventions.grids import Fate
from salreg.interventions.inputs import annotated_input
from salreg.interventions.lengths import Lengths, padding_behind
from salreg.interventions.next_labels import are_of_next, as_next, as_own
from salreg.interventions.text_places import Texts
from salreg.interventions.tokens import change_texts
from salreg.interventions.unrelated import Unrelated
from salreg.rng import Rng

#: Where what is exchanged stands afterwards.
Place = Literal["own", "random"]
PLACES: tuple[Place, ...] = ("own", "random")


class TextBatch(NamedTuple):
    """A batch of texts.

    Attributes:
        sample: The batch.
        annotation: ``(B, T)``, or ``(B, choices, T)``.
        tokens: The token numbers in it, laid out alike.
        fixed: Keys of tensors that stay unchanged although they are laid out like the tokens.
        stops: Tokens that end a sentence, which is never cut in two to put something in.
        lengths: Finds the lengths of the texts among the batch's tensors.
        unrelated: Finds the tensors that do not belong to the tokens.
    """

    sample: Any
    annotation: Tensor
    tokens: Tensor
    fixed: Collection[str]
    stops: Sequence[int]
    lengths: Lengths
    unrelated: Unrelated


class ChangedTexts(NamedTuple):
    """The changes to a batch of texts.

    Attributes:
        pairs: Tensors of the batch and their replacements.
        annotation: The changed annotations.
        done: The samples that were changed ``(B,)``.
        padding_token: The token that pads a text that became shorter, if it is already known.
    """

    pairs: list[tuple[Tensor, Tensor]]
    annotation: Tensor
    done: Tensor
    padding_token: int | None


def change_text_batch(
    batch: TextBatch,
    fate: Fate,
    padding_token: int | None,
    bank: DonorBank,
    rng: Rng,
    place: Place | None = None,
    exchange: bool = True,
) -> ChangedTexts:
    """Exchange, remove and insert marked words; see ``change_texts``.

    Args:
        batch: The texts.
        fate: What becomes of each text, choices one by one, on the device of the texts.
        padding_token: The token that pads a text that became shorter; inferred from padded texts.
        bank: Donors in addition to those of the batch.
        rng: The random number generator.
        place: Where exchanged words go; by default to a random place if the batch asks for the places of answers.
        exchange: Whether marked words are replaced by another text's, or only move.
    """
    sample, annotation, tokens, fixed, stops, known_lengths, unrelated = batch
    beside = beside_tokens(sample, tokens, fixed, unrelated.among(sample, tokens))
    padding = padding_of(sample, annotation, beside.masks, tokens, padding_token)
    lengths = known_lengths.among(sample, tokens, padding, [*beside.fixed, *beside.spans])
    for one in lengths:
        padding = padding_behind(one, padding)
    if padding_token is None and bool(padding.any()):
        padding_token = int(tokens[padding][0])
    filler = 0 if padding_token is None and beside.masks else padding_token  # masked anyway
    ids, marks, padded = (one.flatten(0, -2) for one in (tokens, annotation, padding))  # one text a row
    ahead = [are_of_next(one, tokens) for one in beside.labels]
    own = [as_own(one, tokens) if next_one else one for one, next_one in zip(beside.labels, ahead, strict=True)]
    masks, labels = ([one.flatten(0, -2) for one in some] for some in (beside.masks, own))
    moves = bool(beside.spans) if place is None else place == "random"
    given = Texts(ids, marks, padded, masks, labels, beside.spans, stops=stops)
    texts = change_texts(given, fate, filler, bank, rng, moves=moves, exchange=exchange)
    old = [tokens, *beside.masks, *beside.labels, *beside.spans]
    labels = [
        as_next(one.view_as(tokens), was, tokens, texts.tokens.view_as(tokens)) if next_one else one
        for one, was, next_one in zip(texts.labels, beside.labels, ahead, strict=True)
    ]
    new = [texts.tokens, *texts.beside, *labels, *texts.spans]
    pairs = [(was, one.view_as(was)) for was, one in zip(old, new, strict=True)]
    pairs += [(one, positions_of(~texts.padding.view_as(one), one)) for one in beside.positions]
    pairs += [(one, (~texts.padding).sum(-1).view_as(one).to(one)) for one in lengths]
    done = fate.looked_at if texts.kept is None else fate.looked_at & ~texts.kept
    return ChangedTexts(pairs, texts.annotation.view_as(annotation), done.view(len(annotation), -1).any(1), padding_token)


def by_choice(sample: Any, annotation: Tensor, looked_at: Tensor | None, given: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Annotations and ``looked_at``, one row per choice if a sample holds several texts ``(choices, T)``."""
    if annotation.ndim != 3 or annotation.shape[1] == 1:
        return annotation, looked_at
    if annotated_input(sample, annotation, given).kind != "tokens":
        return annotation, looked_at
    choices = annotation.shape[1]
    return annotation.flatten(0, 1), None if looked_at is None else looked_at.repeat_interleave(choices)
