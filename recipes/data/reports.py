"""Generates reports with summaries: the lead states the summary in training, and that of another report at test time."""

import random
from collections.abc import Sequence
from typing import NamedTuple

import torch

from salreg.annotations import NO_PLACE, from_token_spans
from salreg.recipes.data.texts import Vocabulary
from salreg.recipes.data.token_batches import TokenSamples

GROUPS = ("lead lies", "lead agrees", "no lead")
END = "<end>"
_WHO = ("mayor", "court", "team", "bank", "museum", "union", "school", "army")
_DID = ("resigned", "won", "closed", "opened", "agreed", "failed", "moved", "apologised")


class Report(NamedTuple):
    """A report and its summary as words; ``lead`` is the number of words in the lead at its start."""

    words: list[str]
    summary: list[str]
    lead: int
    group: str


def made_reports(size: int, seed: int, lead: str) -> list[Report]:
    """Reports of five sentences, one of which says who did what after "the"; the lead says so, too.

    Args:
        size: The number of reports.
        seed: The seed for drawing them.
        lead: ``agrees``: the lead says what the report says; ``lies``: in a random half of the reports it says something else;
            ``absent``: there is no lead.

    Raises:
        ValueError: ``lead`` is none of these.
    """
    if lead not in ("agrees", "lies", "absent"):
        raise ValueError(f"lead must be agrees, lies or absent, not {lead!r}.")
    rng = random.Random(seed)
    fillers = [f"word{number}" for number in range(30)]
    found = []
    for _ in range(size):
        who, did = rng.choice(_WHO), rng.choice(_DID)
        sentences = [[*rng.choices(fillers, k=3), "."] for _ in range(4)]
        sentences.insert(rng.randrange(5), ["the", who, did, "."])
        body = [word for sentence in sentences for word in sentence]
        lies = lead == "lies" and rng.random() < 0.5
        other = [rng.choice([one for one in _WHO if one != who]), rng.choice([one for one in _DID if one != did])]
        said = ["the", *(other if lies else [who, did]), "."]
        group = "no lead" if lead == "absent" else "lead lies" if lies else "lead agrees"
        found.append(
            Report(body if lead == "absent" else [*said, *body], [who, did], 0 if lead == "absent" else len(said), group)
        )
    return found


class Reports(TokenSamples):
    """Samples for encoder-decoders: the report, and the summary as labels.

    Args:
        reports: The reports with their summaries.
        vocabulary: The vocabulary, which includes ``END``.
    """

    def __init__(self, reports: Sequence[Report], vocabulary: Vocabulary) -> None:
        super().__init__(vocabulary.words)
        for one in reports:
            tokens = vocabulary.encode([*one.words, END])
            self.rows.append({
                "input_ids": tokens,
                "attention_mask": torch.ones_like(tokens),
                "labels": vocabulary.encode([*one.summary, END]),
                "groups": GROUPS.index(one.group),
            })  # fmt: skip
            marks = from_token_spans(len(one.words), spurious=[(0, one.lead)]) if one.lead else None
            self.annotations.append(None if marks is None else torch.cat([marks, marks.new_full((1,), NO_PLACE)]))
