"""The data of a finished run that is audited: its texts, prompts or rows, and its classes."""

import argparse
from typing import Any

from salreg.annotations import Counterparts
from salreg.audit import AnswerModel, Audit, Encoded, TextModel, audit_table, audit_texts
from salreg.names import nearest
from salreg.recipes.command.audited_marks import Marked, audited_base, base_of
from salreg.recipes.data.instructions import Instructions
from salreg.recipes.data.tables import Table
from salreg.recipes.data.texts import Texts, encoder
from salreg.recipes.training.finished_run import FinishedRun

_MOST_ANSWERS = 12  # of a language model, taken as its classes


def audited(run: FinishedRun, marked: Marked, lexicon: Counterparts | None, options: argparse.Namespace) -> Audit:
    """The audit of a run's test data, of whose training data it is known what was marked.

    Raises:
        ValueError: The run's answers are not one of a few classes, it has texts but no lexicon and no marks, or a class does
            not exist.
    """
    base, module = audited_base(run, run.experiment.test), run.experiment.module
    groups = getattr(module, "groups", [])
    numbers = _groups(base)
    classes = _answers(run, base) if isinstance(base, Instructions) else base.classes
    known = {
        "classes": classes, "positive": _class(options.positive, classes), "marked": marked.in_words(run.config),
        "groups": {"group": [groups[one] for one in numbers]} if len(set(numbers)) > 1 else {}, "seed": options.seed,
        "worst": options.pairs,
    }  # fmt: skip
    if isinstance(base, Table):
        return audit_table(module, base.tensors[0], base.tensors[1], base.columns, features=base.features, **known)
    if lexicon is None:
        raise ValueError("No text is marked, so the terms are not known: give --lexicon, a YAML {axis: {group: [term, ...]}}.")
    if isinstance(base, Instructions):
        net: Any = module.net
        answers = AnswerModel(net, lambda text: base.encode_prompt(text)[0], [base.encode_answer(one) for one in classes])
        labels = [classes.index(one.answer) for one in base.instructions]
        return audit_texts(answers, [one.prompt for one in base.instructions], labels, lexicon, **known)
    encode = encoder(base.vocabulary)
    model = TextModel(module, lambda texts: Encoded(*encode(texts)))
    return audit_texts(model, [" ".join(words) for words in base.words], base.labels, lexicon, **known)


def _answers(run: FinishedRun, base: Instructions) -> list[str]:
    answers = sorted({one.answer for one in base.instructions})
    if not 2 <= len(answers) <= _MOST_ANSWERS:
        raise ValueError(
            f"The test data of {run.folder} have {len(answers)} different answers, but an audit compares 2 to "
            f"{_MOST_ANSWERS}, as its classes. Pass a few of them, with salreg.audit.AnswerModel, to audit_texts."
        )
    return answers


def _groups(base: Texts | Table | Instructions) -> list[int]:
    if isinstance(base, Instructions):
        return [row["groups"] for row in base.rows]
    return list(base.groups) if isinstance(base, Texts) else base.tensors[2].tolist()


def check_same_data(runs: list[FinishedRun]) -> None:
    """Refuse runs that were tested on different data.

    Raises:
        ValueError: The data differ.
    """
    one = _contents(base_of(runs[0].experiment.test.dataset))
    for run in runs[1:]:
        if _contents(base_of(run.experiment.test.dataset)) != one:
            raise ValueError(
                f"{runs[0].folder} and {run.folder} were tested on different data, so their numbers cannot be compared. Use "
                "two arms with the same seed, or audit each alone."
            )


def _contents(base: Any) -> Any:
    """The contents of a dataset, which are equal for two datasets of the same data."""
    if isinstance(base, Instructions):
        return base.instructions
    if isinstance(base, Texts):
        return base.words, base.labels
    return (base.columns, [one.tolist() for one in base.tensors]) if isinstance(base, Table) else type(base)


def _class(name: str | None, classes: list[str]) -> int:
    if name is None:
        return min(1, len(classes) - 1)
    if name not in classes:
        raise ValueError(f"There is no class {name!r}{nearest(name, classes)}. There are: {', '.join(classes)}.")
    return classes.index(name)
