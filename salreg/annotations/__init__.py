"""Annotations: what a person marked on each sample, as one signed map.

An annotation is a tensor laid out like the sample's saliency map (image ``(1, H, W)``, text ``(T,)``, tabular ``(F,)``) with
values in ``[-1, 1]``: **-1 spurious, +1 relevant, 0 unknown**; values in between are soft marks. An annotation without any mark
means that somebody looked at the sample and found nothing; a missing one (None) that nobody looked (see
``salreg.AnnotatedDataset``). In texts, ``NO_PLACE`` stands where there is no word.
"""

from salreg.annotations.chats import from_roles, role_spans
from salreg.annotations.columns import ColumnGroups, column_groups, from_columns
from salreg.annotations.counterparts import Counterparts, Mention
from salreg.annotations.lexicon import Lexicon, from_lexicon
from salreg.annotations.masks import from_boxes, from_mask
from salreg.annotations.signs import (
    NO_PLACE,
    RELEVANT,
    SPURIOUS,
    UNKNOWN,
    Marks,
    align,
    as_places,
    check,
    coarsen,
    fits,
    in_any_channel,
    is_annotated,
    marks,
    places,
    resized,
)
from salreg.annotations.text import from_character_spans, from_token_mask, from_token_spans, on_subwords

__all__ = [
    "NO_PLACE",
    "RELEVANT",
    "SPURIOUS",
    "UNKNOWN",
    "ColumnGroups",
    "Counterparts",
    "Lexicon",
    "Marks",
    "Mention",
    "align",
    "as_places",
    "check",
    "coarsen",
    "column_groups",
    "fits",
    "from_boxes",
    "from_character_spans",
    "from_columns",
    "from_lexicon",
    "from_mask",
    "from_roles",
    "from_token_mask",
    "from_token_spans",
    "in_any_channel",
    "is_annotated",
    "marks",
    "on_subwords",
    "places",
    "resized",
    "role_spans",
]
