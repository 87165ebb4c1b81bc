"""The tensors that belong to the token numbers of a batch, and how they follow when tokens move."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from salreg.annotations import NO_PLACE
from salreg.interventions.inputs import REMEDY, names_tokens
from salreg.interventions.lengths import Lengths
from salreg.interventions.tokens import NO_LABEL
from salreg.taps import is_mask, place_of, tensors_in

#: Keys of tensors that hold a label for every token, of position numbers, and of what a decoder reads and writes.
_LABELS = ("labels", "label_ids", "token_labels", "tags", "ner_tags")
_POSITIONS = "position_ids"
_IDS = "input_ids"
_SPANS = ("start_positions", "end_positions")
_OF_DECODERS = ("labels", "decoder_input_ids", "decoder_attention_mask")


class Beside(NamedTuple):
    """The other tensors of a batch of texts that go with the tokens.

    Attributes:
        masks: ``(B, T)``, masks and token types: an inserted token takes the value of the place it goes to.
        labels: ``(B, T)``: an inserted token brings its own label along.
        spans: Places of tokens ``(B,)``: where an answer starts and ends.
        positions: ``(B, T)``, numbers of the places that the mask counts; those that count from 0 in every text stay.
        fixed: What stays as it is.
    """

    masks: list[Tensor]
    labels: list[Tensor]
    spans: list[Tensor]
    positions: list[Tensor]
    fixed: list[Any]


def beside_tokens(sample: Any, tokens: Tensor, fixed: Collection[str] = (), unrelated: Sequence[Tensor] = ()) -> Beside:
    """The tensors of a batch of texts that move with its tokens ``(B, T)`` or ``(B, choices, T)``.

    Args:
        sample: The batch.
        tokens: The token numbers in it.
        fixed: Keys of tensors that stay unchanged although they are laid out like the tokens.
        unrelated: Such tensors themselves.

    Raises:
        ValueError: It is not known how a tensor would move.
    """
    named: Mapping[str, Any] = sample if isinstance(sample, Mapping) else {}
    of_decoder = _OF_DECODERS if _OF_DECODERS[1] in named else ()
    stay = [one for key, one in named.items() if key in fixed or key in of_decoder or _is_of_another(key, named, tokens)]
    stay += unrelated
    beside = [one for one in tensors_in(sample) if one is not tokens and one.shape == tokens.shape]
    beside = [one for one in beside if not any(one is other for other in stay)]
    labels = [one for one in beside if any(named.get(key) is one for key in _LABELS) or _has_no_labels(one)]
    positions = [one for one in beside if one is named.get(_POSITIONS)]
    masks = [one for one in beside if not any(one is other for other in (*labels, *positions))]
    for one in masks:
        if not is_mask(one):
            raise ValueError(
                f"Besides the token numbers, the batch has another tensor of shape {tuple(one.shape)} with values up to "
                f"{one.max().item():g}, and it is not known whether it moves with them. If it holds a label for every token, "
                "put it into a dict under the key 'labels'; if it belongs to a decoder, use Intervention(fixed=['its key']). "
                f"{REMEDY}"
            )
    _refuse_others(sample, tokens, stay)
    for one in positions:
        if _starts_anew(one, named.get("attention_mask")):
            raise ValueError(
                "The batch packs several texts into one row (its position_ids start anew), between which words would move. "
                f"Turn packing off (SFTConfig(packing=False), or a collator that pads). {REMEDY}"
            )
        if not _counts(one) and not torch.equal(_counted(named.get("attention_mask"), one), one):
            raise ValueError(
                "The batch's position_ids count neither the places nor the attention mask, so it is not known how they move "
                f"with the tokens. Let the model count them, or use Intervention(fixed=['{_POSITIONS}']). {REMEDY}"
            )
    spans = [named[key] for key in _SPANS if key in named and key not in fixed and isinstance(named[key], Tensor)]
    return Beside(masks, labels, spans, [one for one in positions if not _counts(one)], stay)


def said_to_move(
    sample: Any, tokens: Tensor, annotation: Tensor, fixed: Collection[str] = (), padding_token: int | None = None
) -> str:
    """A note about a batch whose tokens move: which tensors move with them, but for those with a usual name of a mask, and
    which do not although they may hold places; empty if there are none."""
    beside = beside_tokens(sample, tokens, fixed)
    padding = padding_of(sample, annotation, beside.masks, tokens, padding_token)
    lengths = Lengths().among(sample, tokens, padding, [*beside.fixed, *beside.spans])
    moving = _keys(sample, [*beside.labels, *beside.spans, *lengths])
    masks = [one for one in _keys(sample, beside.masks) if not any(name in one for name in ("mask", "type_ids"))]
    named: Mapping[str, Any] = sample if isinstance(sample, Mapping) else {}
    known = [*beside.fixed, *beside.spans, *lengths]
    may_be = [
        one for key, one in named.items() if _may_hold_places(key, one, tokens) and not any(one is other for other in known)
    ]
    notes = (
        (moving, "moves", "move", " with the tokens"),
        (masks, "is", "are", " taken for a mask, of which a word takes the value of the place that it goes to"),
        (_keys(sample, may_be), "stays", "stay", ", although the name may be that of a token's place"),
    )
    return "; ".join(
        f"{' and '.join(keys)} {one if len(keys) == 1 else several}{of}" for keys, one, several, of in notes if keys
    )


def asks_for_places(sample: Any, tokens: Tensor, fixed: Collection[str] = ()) -> bool:
    """Whether a batch of texts holds the places at which answers start and end."""
    return bool(beside_tokens(sample, tokens, fixed).spans)


def positions_of(mask: Tensor, before: Tensor) -> Tensor:
    """Position numbers of texts whose mask has changed, counted as they were before."""
    return _counted(mask, before)


def keys_of_decoder(model: nn.Module) -> tuple[str, ...]:
    """The keys of a batch that belong to a decoder, and stay when the tokens of the text that it reads move; none of a model
    that has no decoder of its own (``config.is_encoder_decoder``)."""
    configs = [getattr(part, "config", None) for part in model.modules()]
    return _OF_DECODERS if any(getattr(one, "is_encoder_decoder", False) is True for one in configs) else ()


def padding_token_of(model: nn.Module) -> int | None:
    """The token that pads texts by the embeddings of a model (``padding_idx``); None if none says it, or they differ."""
    said = {part.padding_idx for part in model.modules() if isinstance(part, nn.Embedding) and part.padding_idx is not None}
    return said.pop() if len(said) == 1 else None


def padding_of(
    sample: Any, annotation: Tensor, beside: list[Tensor], tokens: Tensor | None = None, padding_token: int | None = None
) -> Tensor:
    """Where texts are padded, booleans ``(B, T)``: by a mask that lies beside the tokens, ``NO_PLACE`` at the end, or unmarked
    padding tokens at either end."""
    nothing = annotation == NO_PLACE
    if isinstance(sample, Mapping) and any(sample.get("attention_mask") is one for one in beside):
        return sample["attention_mask"] == 0
    for mask in beside:
        for is_padding in (mask == 0, mask != 0):  # masks of attention, and of padding
            one_sided = is_padding[..., 0] ^ is_padding[..., -1] | ~is_padding.any(-1)
            if bool((is_padding <= nothing).all() & one_sided.all()) and bool(is_padding.any()):
                return is_padding
        if bool((mask == 1).all()) or (mask.dtype == torch.bool and not bool(mask.any())):
            return torch.zeros_like(nothing)  # a mask of attention, or of padding, without any
    at_end = _to_the_end(nothing)
    if tokens is None or padding_token is None or bool(at_end.any()):
        return at_end
    fillers = (tokens == padding_token) & (annotation >= 0)
    at_end = _to_the_end(fillers)
    return at_end if bool(at_end.any()) else _to_the_end(fillers.flip(-1)).flip(-1)


def _keys(sample: Any, tensors: Sequence[Tensor]) -> list[str]:
    return [f"batch{place_of(sample, one)}" for one in tensors]


def _may_hold_places(key: str, one: Any, tokens: Tensor) -> bool:
    """Whether an entry of a batch may, by its name and its values, hold the places of some of the tokens."""
    if not isinstance(one, Tensor) or one.is_floating_point() or one.dtype == torch.bool or one.ndim not in (1, 2):
        return False
    words = set(str(key).lower().split("_"))
    named = not words.isdisjoint(("start", "starts", "end", "ends", "pos", "position", "positions")) and key != _POSITIONS
    return named and len(one) == len(tokens) and bool(((one >= 0) & (one < tokens.shape[-1])).all())


def _to_the_end(places: Tensor) -> Tensor:
    """The places of ``(..., T)`` behind which there are only such places."""
    return places.flip(-1).cumprod(-1).flip(-1).bool()


def _refuse_others(sample: Any, tokens: Tensor, stay: Sequence[Any]) -> None:
    """Raise a ``ValueError`` if a batch holds something else about each token, or about each pair of tokens, which would have
    to move with them: boxes of words, masks ``(B, 1, T, T)``."""
    axes, length = tokens.ndim, tokens.shape[-1]
    for one in tensors_in(sample):
        if one.ndim <= axes or len(one) != len(tokens) or any(one is other for other in stay):
            continue
        if one.is_floating_point() and one.shape[:axes] == tokens.shape and not names_tokens(place_of(sample, tokens) or ""):
            continue  # a series, of which it has been said that it may be the input
        of_pairs = one.shape[-1] == length and one.shape[-2] in (1, length) and (is_mask(one) or bool((one <= 0).all()))
        if one.shape[:axes] == tokens.shape or of_pairs:
            place = place_of(sample, one) or ""
            raise ValueError(
                f"Besides the token numbers of shape {tuple(tokens.shape)}, the batch has batch{place} of shape "
                f"{tuple(one.shape)}, which is laid out like them and would not move with them. Give a mask the shape of the "
                "token numbers, and let the model derive the rest; if it does not belong to the tokens, put it into a dict and "
                f"use Intervention(fixed=['its key']). {REMEDY}"
            )


def _is_of_another(key: str, named: Mapping[str, Any], tokens: Tensor) -> bool:
    """Whether a key belongs to another text of a pair, as ``rejected_attention_mask`` does beside ``chosen_input_ids``."""
    own = next((_stem(name) for name, one in named.items() if one is tokens), "")
    texts = [name for name, one in named.items() if name.endswith(_IDS) or _may_be_tokens(name, one, tokens)]
    others = [_stem(name) for name in texts if named[name] is not tokens]
    return bool(own) and any(stem and not own.startswith(stem) and key.startswith(stem) for stem in others)


def _may_be_tokens(key: str, tensor: Any, tokens: Tensor) -> bool:
    labels = key in (*_LABELS, _POSITIONS) or not isinstance(tensor, Tensor)
    return not labels and tensor.dtype == tokens.dtype and tensor.shape == tokens.shape and not is_mask(tensor)


def _stem(key: str) -> str:
    return key.removesuffix(_IDS).rstrip("_")


def _has_no_labels(tensor: Tensor) -> bool:
    """Whether some of its values are the -100 that losses ignore."""
    return not tensor.is_floating_point() and tensor.dtype != torch.bool and bool((tensor == NO_LABEL).any())


def _starts_anew(positions: Tensor, mask: Any) -> bool:
    """Whether position numbers of what is not padding go back to 0 behind another 0."""
    shown = mask != 0 if isinstance(mask, Tensor) and mask.shape == positions.shape else torch.ones_like(positions).bool()
    first = (positions == 0) & shown
    back = first[..., 1:] & (positions[..., :-1] != 0) & shown[..., :-1]
    return bool((back & (first.cumsum(-1)[..., :-1] > 0)).any())


def _counts(positions: Tensor) -> bool:
    """Whether they are the numbers of the places themselves, which stay where tokens move."""
    return torch.equal(positions, torch.arange(positions.shape[-1], device=positions.device).expand_as(positions))


def _counted(mask: Any, like: Tensor) -> Tensor:
    """The position numbers of what a mask of attention shows, filled at the padding as they are; -1 without a mask."""
    if not isinstance(mask, Tensor) or mask.shape != like.shape:
        return torch.full_like(like, -1)
    shown = mask != 0
    filler = like[~shown][0] if bool((~shown).any()) else like.new_ones(())
    return torch.where(shown, shown.cumsum(-1) - 1, filler).to(like)
