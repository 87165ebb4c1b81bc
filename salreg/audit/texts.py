"""The audit of a classifier of texts by a lexicon of groups."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from salreg.annotations import Counterparts, Mention
from salreg.audit import words
from salreg.audit.changes import Changes
from salreg.audit.edits import vocabulary, with_term, with_words_exchanged
from salreg.audit.findings import Audit, Change, Pair, TermUse, Use
from salreg.audit.groups import by_group, members_of
from salreg.audit.intervals import Bootstrap, Interval
from salreg.audit.models import TextModel
from salreg.audit.pairs import Candidate, worst_pairs
from salreg.audit.predicting import Outputs, Predictor

#: The group of texts that name none of an axis.
NONE = "none named"
_MOST_MAPS = 200  # texts of a group whose maps are made


def audit_texts(
    model: Callable[[list[str]], Any] | TextModel,
    texts: Sequence[str],
    labels: Sequence[int] | Tensor,
    lexicon: Counterparts,
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    classes: Sequence[str] | None = None,
    positive: int = 1,
    outputs: Outputs = "logits",
    marked: str = "",
    worst: int = 12,
    batch_size: int = 256,
    draws: int = 1000,
    seed: int = 0,
    progress: bool = True,
) -> Audit:
    """Audit what a classifier of texts relies on, and for whom it is wrong.

    Args:
        model: Maps a list of texts to logits ``(B, C)``; if it is a ``TextModel``, its maps are measured too.
        texts: N texts that it was not trained on.
        labels: True classes ``(N,)``.
        lexicon: Groups and their terms.
        groups: Further divisions of the texts by name, each with the group of each of the N texts.
        classes: The names of the classes; by default their numbers.
        positive: The class whose probability is tracked.
        outputs: Whether the model returns ``logits`` or ``probabilities``.
        marked: What was marked in training, in words, for the report.
        worst: The number of counterfactual pairs to keep.
        batch_size: The number of texts per batch.
        draws: The number of bootstrap draws.
        seed: The seed of all random numbers.
        progress: Whether to show progress bars.

    Raises:
        ValueError: There are no texts, the number of labels does not fit, a class is invalid, or the model's outputs contradict
            ``outputs``.

    Example:
        >>> model = lambda texts: torch.tensor([[0.0, 1.0 if "she" in text else -1.0] for text in texts])
        >>> lexicon = Counterparts({"gender": ["she", "he"]})
        >>> found = audit_texts(model, ["she ran", "he ran", "it ran"], [1, 1, 0], lexicon, progress=False)
        >>> found.uses[0].changes["substitution"].share.value
        1.0
    """
    target = torch.as_tensor(labels).cpu()
    if not len(texts) or target.shape != (len(texts),):
        raise ValueError(f"{len(texts)} texts and labels of shape {tuple(target.shape)} do not fit: each text needs one class.")
    predictor = Predictor(model, outputs, batch_size, progress)
    changes = Changes(predictor, list(texts), target, positive, Bootstrap(len(texts), times=draws, seed=seed), classes)
    names = changes.names
    uses: list[Use] = []
    divided: dict[str, dict[str, Tensor]] = {}
    for axis in lexicon.axes:
        one = _Axis(axis, lexicon, changes, seed)
        uses += one.uses(model if isinstance(model, TextModel) else None)
        divided[axis] = {name: members for name, members in one.groups().items() if members.any()}
    divided |= {axis: members_of(axis, names, len(texts)) for axis, names in (groups or {}).items()}
    rates, differences = by_group(target, changes.before.classes, divided, positive, changes.bootstrap)
    pairs: list[Pair] = worst_pairs(changes.candidates, names, target, worst)
    return Audit(
        "texts", len(texts), names, names[positive], uses, rates, differences, pairs, marked,
        words.measured_of_texts(len(texts), changes.bootstrap, isinstance(model, TextModel)),
        words.unknown_of_texts(uses, rates, isinstance(model, TextModel)),
    )  # fmt: skip


class _Axis:
    """One axis of the lexicon."""

    def __init__(self, name: str, lexicon: Counterparts, changes: Changes, seed: int) -> None:
        self.name, self.lexicon, self.changes = name, lexicon, changes
        self.texts: list[str] = changes.samples
        self.mentions = [lexicon.mentions(text, name) for text in self.texts]
        self.bare = [row for row, found in enumerate(self.mentions) if not found]
        self.draws = random.Random(seed)
        self.words = vocabulary(self.texts)
        self.places = [self.draws.random() for _ in self.bare]

    def groups(self) -> dict[str, Tensor]:
        """Which texts name each group, and which none."""
        named = [{mention.group for mention in found} for found in self.mentions]
        groups = {group: torch.tensor([group in one for one in named]) for group in self.lexicon.axes[self.name]}
        return {**groups, NONE: torch.tensor([not one for one in named])}

    def uses(self, model: TextModel | None) -> list[Use]:
        groups = self.lexicon.axes[self.name]
        put_in = {group: self._with_terms(terms) for group, terms in groups.items()}
        inserted = {group: self.changes.predicted(texts) for group, texts in put_in.items()}
        random_words = [self.draws.choice(self.words) if self.words else "" for _ in range(2 * len(self.bare))]
        half = len(self.bare)
        control = [
            self.changes.predicted([with_term(self.texts[row], word, place) for row, word, place in zip(
                self.bare, some, self.places, strict=True)])
            for some in (random_words[:half], random_words[half:])
        ]  # fmt: skip
        found = []
        for group, terms in groups.items():
            changes = {**self._exchanged(group), **self._removed(group)}
            if self.bare:
                changes["insertion"] = self.changes.compared(self.bare, inserted[group], control[0])
                changes["placed"] = self._placed(group, inserted, put_in, control)
            saliency, places = self._saliency(model, group, put_in[group])
            own = [self._term(group, number, inserted[group]) for number in range(len(terms))]
            known = {one.term: one for one in reversed(own)}  # a term may stand for several counterparts
            named = sum(any(mention.group == group for mention in one) for one in self.mentions)
            found.append(Use(self.name, group, named, changes, saliency, places, list(reversed(known.values()))))
        return found

    def _with_terms(self, terms: list[str]) -> list[str]:
        """The bare texts with a term each, in turn."""
        return [
            with_term(self.texts[row], terms[turn % len(terms)], place)
            for turn, (row, place) in enumerate(zip(self.bare, self.places, strict=True))
        ]

    def _own(self, row: int, group: str) -> list[Mention]:
        return [one for one in self.mentions[row] if one.group == group]

    def _exchanged(self, group: str) -> dict[str, Change]:
        rows, texts, others, to = [], [], [], []
        for row, mentions in enumerate(self.mentions):
            if self._own(row, group):
                for own, other, text in self.lexicon.counterparts(self.texts[row], self.name):
                    if own == group:
                        rows.append(row)
                        texts.append(text)
                        to.append(f"{group} → {other}")
                        changed = [one for one in mentions if one.group in (own, other)]
                        others.append(self._random(row, changed, self.words))
        if not rows:
            return {}
        after = self.changes.predicted(texts)
        self.changes.note(self.name, "substitution", rows, texts, after, to)
        return {"substitution": self.changes.compared(rows, after, self.changes.predicted(others))}

    def _removed(self, group: str) -> dict[str, Change]:
        rows = [row for row in range(len(self.texts)) if self._own(row, group)]
        texts = [self.lexicon.removed(self.texts[row], self.name, group) for row in rows]
        kept = [(row, text) for row, text in zip(rows, texts, strict=True) if text]
        if not kept:
            return {}
        rows = [row for row, _ in kept]
        others = [self._random(row, self._own(row, group), []) for row in rows]
        after = self.changes.predicted([text for _, text in kept])
        return {"removal": self.changes.compared(rows, after, self.changes.predicted(others))}

    def _random(self, row: int, mentions: list[Mention], words_in: list[str]) -> str:
        return with_words_exchanged(self.texts[row], mentions, words_in, self.draws) or self.texts[row]

    def _placed(self, group: str, inserted: dict[str, Any], put_in: dict[str, list[str]], control: list[Any]) -> Change:
        """Of two texts that differ in the group that was put in, how many get another class?"""
        others = [other for other in inserted if other != group]
        rows = self.bare * len(others)
        after = self.changes.repeated(inserted[group], len(others))
        before = self.changes.joined([inserted[other] for other in others])
        for other in others:
            written = list(zip(put_in[group], put_in[other], strict=True))
            self.changes.candidates += [
                Candidate(
                    self.name, "placed", f"{group} → {other}", row, *texts, inserted[group].of(turn), inserted[other].of(turn)
                )
                for turn, (row, texts) in enumerate(zip(self.bare, written, strict=True))
            ]
        made = self.changes.compared(rows, after, None, before)
        return made._replace(control=self.changes.compared(self.bare, control[1], None, control[0]).share)

    def _term(self, group: str, number: int, inserted: Any) -> TermUse:
        terms = self.lexicon.axes[self.name][group]
        found = sum(any(one.group == group and one.term == terms[number] for one in found) for found in self.mentions)
        turns = [turn for turn in range(len(self.bare)) if terms[turn % len(terms)] == terms[number]]
        if not turns:
            return TermUse(terms[number], found, None)
        return TermUse(
            terms[number], found, self.changes.compared([self.bare[turn] for turn in turns], inserted.some(turns), None)
        )

    def _saliency(self, model: TextModel | None, group: str, put_in: list[str]) -> tuple[dict[str, Interval], float]:
        """The shares of maps on the group's terms, in texts that name it, or else in those that it was put into."""
        named = [self.texts[row] for row in range(len(self.texts)) if self._own(row, group)]
        texts = (named or put_in)[:_MOST_MAPS]
        if model is None or not texts:
            return {}, math.nan
        spans = [[one.span for one in self.lexicon.mentions(text, self.name) if one.group == group] for text in texts]
        lengths = [
            (sum(len(text[start:end].split()) for start, end in some), len(text.split()))
            for text, some in zip(texts, spans, strict=True)
        ]
        bootstrap = Bootstrap(len(texts), times=self.changes.bootstrap.times, seed=self.changes.bootstrap.seed)
        size = min(32, self.changes.predictor.batch_size)
        parts = [model.shares(texts[at : at + size], spans[at : at + size]) for at in range(0, len(texts), size)]
        shares = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        return (
            {name: bootstrap.ratio(one.nan_to_num(), (~one.isnan()).float(), share=False) for name, one in shares.items()},
            sum(own / all_of_it for own, all_of_it in lengths) / len(lengths),
        )
