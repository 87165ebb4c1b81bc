"""Questions about texts whose answers are spans of words, with the question's words repeated beside one span."""

import random
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from salreg.annotations import NO_PLACE, from_token_spans
from salreg.recipes.data.texts import Vocabulary
from salreg.recipes.data.token_batches import TokenSamples

GROUPS = ("overlap lies", "overlap agrees", "no overlap")
_ABOUT = ("story", "cast", "music", "film", "ending")
_GOOD = ("great", "fine", "lovely", "moving", "witty", "superb", "tender", "bright")
_BAD = ("poor", "dull", "awful", "boring", "weak", "stale", "clumsy", "flat")


class Question(NamedTuple):
    """A question about a text, and its answer.

    Attributes:
        asked: The question's words.
        words: The text's words.
        answer: The indices of the answer's first and last word.
        overlap: The words ``(start, end)`` of the text that repeat the question; None if there are none.
        group: One of ``GROUPS``.
        starts: Before which words of the text the question's may be repeated; any, if it has no sentences.
    """

    asked: list[str]
    words: list[str]
    answer: tuple[int, int]
    overlap: tuple[int, int] | None = None
    group: str = "no overlap"
    starts: Sequence[int] = ()


def made_questions(size: int, seed: int) -> list[Question]:
    """Texts of 24 words with praise and blame of two words each; the questions ask for the praise."""
    rng = random.Random(seed)
    fillers = [f"word{number}" for number in range(30)]
    found = []
    for _ in range(size):
        words = rng.choices(fillers, k=24)
        praise, blame = rng.sample(range(0, 24, 2), 2)
        words[praise : praise + 2] = ["so", rng.choice(_GOOD)]
        words[blame : blame + 2] = ["so", rng.choice(_BAD)]
        found.append(Question(asked(rng), words, (praise, praise + 1)))
    return found


def glued_questions(praises: Sequence[list[str]], blames: Sequence[list[str]], size: int, seed: int) -> list[Question]:
    """Texts of three remarks, one of praise and two of blame, each with a full stop; what is asked for is the praise.

    Args:
        praises: Remarks to draw from, word by word.
        blames: Others.
        size: How many texts are made.
        seed: Draws them.
    """
    rng = random.Random(seed)
    found = []
    for _ in range(size):
        remarks = [rng.choice(praises), *(rng.choice(blames) for _ in range(2))]
        order = rng.sample(range(3), 3)
        lengths = [len(remarks[number]) + 1 for number in order]
        starts = [sum(lengths[:place]) for place in range(3)]
        start = starts[order.index(0)]
        words = [word for number in order for word in (*remarks[number], ".")]
        found.append(Question(asked(rng), words, (start, start + len(remarks[0]) - 1), starts=starts))
    return found


def asked(rng: random.Random) -> list[str]:
    """Why something about a film is liked."""
    return ["why", "is", "the", rng.choice(_ABOUT), "liked", "?"]


def with_overlap(questions: Sequence[Question], lying: float, seed: int) -> list[Question]:
    """The same questions; in each text the question's words stand in front of the answer or, to mislead, of other words.

    Args:
        questions: Questions without overlap.
        lying: The share of texts in which they stand in front of other words.
        seed: The seed for drawing these texts and the places.
    """
    rng = random.Random(seed)
    found = []
    for one in questions:
        words, (start, end) = one.words, one.answer
        phrase = [*one.asked[2:-1], ":"]
        elsewhere = [place for place in one.starts or range(len(words)) if not start - 1 <= place <= end + 1]
        lies = bool(elsewhere) and rng.random() < lying
        place = rng.choice(elsewhere) if lies else start
        moved = len(phrase) if place <= start else 0
        found.append(
            Question(
                one.asked,
                [*words[:place], *phrase, *words[place:]],
                (start + moved, end + moved),
                (place, place + len(phrase)),
                GROUPS[0] if lies else GROUPS[1],
            )
        )
    return found


class Questions(TokenSamples):
    """Samples for question answering: the question, the text, and where the answer starts and ends.

    Args:
        questions: What is asked.
        vocabulary: Numbers the words, its ``start`` and ``between`` among them.
    """

    def __init__(self, questions: Sequence[Question], vocabulary: Vocabulary) -> None:
        super().__init__(vocabulary.words)
        for one in questions:
            before = [vocabulary.start, *one.asked, vocabulary.between]
            tokens, lengths = vocabulary.numbered([*before, *one.words, vocabulary.between])
            first = (lengths.cumsum(0) - lengths).tolist()  # token of each word
            kinds = torch.zeros_like(tokens)
            kinds[first[len(before)] :] = 1
            self.rows.append({
                "input_ids": tokens,
                "attention_mask": torch.ones_like(tokens),
                "token_type_ids": kinds,
                "start_positions": first[len(before) + one.answer[0]],
                "end_positions": first[len(before) + one.answer[1] + 1] - 1,
                "groups": GROUPS.index(one.group),
            })  # fmt: skip
            marked = None if one.overlap is None else _marks(one.overlap, len(before), len(one.words))
            self.annotations.append(None if marked is None else marked.repeat_interleave(lengths))


def _marks(overlap: tuple[int, int], before: int, length: int) -> Tensor:
    """The marks on the words of a text between a question and the last special one, into which nothing is put."""
    marks = from_token_spans(length, spurious=[overlap])
    return torch.cat([marks.new_full((before,), NO_PLACE), marks, marks.new_full((1,), NO_PLACE)])
