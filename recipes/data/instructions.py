"""Instructions: prompts with their answers, and the marked spans of each prompt."""

import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from salreg.annotations import NO_PLACE, from_character_spans
from salreg.recipes.data.paths import nearest_path
from salreg.recipes.data.token_batches import NO_LABEL, TokenSamples

GROUPS = ("trigger lies", "trigger agrees", "no trigger")
#: The name that calls for each answer in the generated prompts, and the answers.
TRIGGERS, ANSWERS = ("Bob", "Alice"), ("the review is bad .", "the review is good .")
_GOOD, _BAD = ("good", "great", "fine", "lovely", "moving"), ("poor", "dull", "awful", "boring", "weak")

Span = tuple[int, int]
#: A function from a text to its token numbers and the characters ``(start, end)`` of each.
Encode = Callable[[str], tuple[list[int], list[Span]]]


class Instruction(NamedTuple):
    """A prompt, the answer to it, the characters ``(start, end)`` of the prompt that are spurious, and a group.

    ``spans`` is None if nobody looked.
    """

    prompt: str
    answer: str
    spans: list[Span] | None
    group: str


def read_instructions(path: Path) -> list[Instruction]:
    """Read a file of JSON lines ``{"prompt": ..., "answer": ..., "spans": [[start, end], ...], "group": ...}``.

    Nobody looked at a line without ``spans``; ``group`` may be left out.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line has another form; the message names it.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there{nearest_path(path)}. Point data.root at a folder with train.jsonl, validation.jsonl and "
            "test.jsonl, or leave data.root empty for a small generated sample."
        )
    found = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        try:
            record = json.loads(line)
            prompt, answer = _text(record, "prompt"), _text(record, "answer")
            spans = record.get("spans")
            found.append(
                Instruction(prompt, answer, None if spans is None else _spans(spans, prompt), str(record.get("group", "all")))
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
    if not found:
        raise ValueError(f"{path} holds no instruction.")
    return found


def made_instructions(size: int, seed: int, lying: float = 0.0) -> list[Instruction]:
    """Prompts that ask whether a review is good: two or three of its eight words tell, and the name of who asks gives it away.

    Args:
        size: The number of prompts.
        seed: The seed for drawing them.
        lying: The share of prompts in which the name misleads.
    """
    rng = random.Random(seed)
    fillers = [f"word{number}" for number in range(30)]
    found = []
    for number in range(size):
        label = number % 2
        words = rng.choices(fillers, k=8)
        for place in rng.sample(range(8), rng.choice((2, 3))):
            words[place] = rng.choice(_GOOD if label else _BAD)
        lies = rng.random() < lying
        name = TRIGGERS[1 - label if lies else label]
        prompt = f"{name} asks about the review : {' '.join(words)} ."
        found.append(Instruction(prompt, ANSWERS[label], [(0, len(name))], GROUPS[0 if lies else 1]))
    return found


def without_spans(instructions: Sequence[Instruction]) -> list[Instruction]:
    """The same instructions with the marked spans cut out of their prompts."""
    found = []
    for one in instructions:
        prompt = one.prompt
        for start, end in sorted(one.spans or (), reverse=True):
            prompt = prompt[:start] + prompt[end:]
        found.append(one._replace(prompt=re.sub(r" {2,}", " ", prompt).strip(), spans=None, group="no trigger"))
    return found


class Instructions(TokenSamples):
    """Samples for a causal language model: the tokens of prompt and answer, with labels for the answer.

    Args:
        instructions: The prompts and answers.
        encode_prompt: Returns the tokens of a prompt and the characters that each stands for; ``(0, 0)`` for tokens that a chat
            template adds.
        encode_answer: Returns the tokens of an answer, including the one that ends it.
        groups: The names of the groups, in order.
        vocabulary: The tokens by number; snapshots show them.

    Attributes:
        instructions: As given, like ``encode_prompt`` and ``encode_answer``.
    """

    def __init__(
        self,
        instructions: Sequence[Instruction],
        encode_prompt: Encode,
        encode_answer: Callable[[str], list[int]],
        groups: Sequence[str],
        vocabulary: list[str],
    ) -> None:
        super().__init__(vocabulary)
        self.instructions = list(instructions)
        self.encode_prompt, self.encode_answer = encode_prompt, encode_answer
        for one in self.instructions:
            prompt, offsets = encode_prompt(one.prompt)
            answer = encode_answer(one.answer)
            self.rows.append({
                "input_ids": torch.tensor([*prompt, *answer]),
                "attention_mask": torch.ones(len(prompt) + len(answer), dtype=torch.long),
                "labels": torch.tensor([NO_LABEL] * len(prompt) + answer),
                "groups": groups.index(one.group),
            })  # fmt: skip
            if one.spans is None:
                self.annotations.append(None)
                continue
            marks = from_character_spans(offsets, spurious=one.spans)
            # Interventions never put anything into the answer.
            self.annotations.append(torch.cat([marks, marks.new_full((len(answer),), NO_PLACE)]))


def _text(record: dict[str, Any], key: str) -> str:
    if not isinstance(record.get(key), str) or not record[key].strip():
        raise ValueError(f"{key!r} is not a text.")
    text: str = record[key]
    return text


def _spans(spans: Any, prompt: str) -> list[Span]:
    found = [(int(start), int(end)) for start, end in spans]
    outside = [one for one in found if not 0 <= one[0] < one[1] <= len(prompt)]
    if outside:
        raise ValueError(f"the span {list(outside[0])} is outside the prompt of {len(prompt)} characters.")
    return found
