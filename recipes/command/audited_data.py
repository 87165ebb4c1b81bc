"""The data of a finished run that is audited: its texts, prompts or rows, its classes, and the marks of its training."""

import argparse
from collections import Counter
from typing import Any

from torch.utils.data import Dataset
from tqdm import tqdm

from salreg.annotations import Counterparts
from salreg.audit import AnswerModel, Audit, Encoded, TextModel, audit_table, audit_texts
from salreg.names import nearest
from salreg.recipes.data.instructions import Instructions
from salreg.recipes.data.tables import Table
from salreg.recipes.data.texts import Texts, encoder
from salreg.recipes.data.token_batches import TokenSamples
from salreg.recipes.training.callbacks import intervenes
from salreg.recipes.training.finished_run import FinishedRun

_MOST_TERMS = 8  # of the marked ones, if there is no lexicon
_MOST_ANSWERS = 12  # of a language model, taken as its classes


def audited(run: FinishedRun, lexicon: Counterparts | None, options: argparse.Namespace) -> Audit:
    """The audit of a run's test data.

    Raises:
        ValueError: The run's answers are not one of a few classes, it has texts but no lexicon and no marks, or a class does
            not exist.
    """
    base, module = _base(run.experiment.test.dataset), run.experiment.module
    if not isinstance(base, Texts | Table | Instructions):
        raise ValueError(_refusal(run, base))
    groups = getattr(module, "groups", [])
    numbers = _groups(base)
    classes = _answers(run, base) if isinstance(base, Instructions) else base.classes
    known = {
        "classes": classes, "positive": _class(options.positive, classes), "marked": marked(run),
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


def _refusal(run: FinishedRun, base: Any) -> str:
    if isinstance(base, TokenSamples):
        return (
            f"{run.folder} belongs to the recipe {run.config.recipe}, which answers with places or texts, but an audit "
            "compares classes. What it relies on was measured in training: reliance and the accuracy under intervention in "
            "results.json and report.html. For a few given answers, pass salreg.audit.AnswerModel to audit_texts."
        )
    return f"{run.folder} belongs to the recipe {run.config.recipe}, whose data are neither texts nor a table."


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


def marked(run: FinishedRun) -> str:
    """A sentence on what was marked in the training data and how the model was regularised."""
    dataset: Any = run.experiment.train.dataset
    base, looked_at, with_marks, names = _base(dataset), 0, 0, Counter[str]()
    for number in tqdm(range(len(dataset)), "Looking at marks", leave=False, disable=None):
        sample = dataset[number]
        found = (sample.annotation < 0).nonzero().flatten().tolist()
        looked_at += bool(sample.looked_at)
        with_marks += bool(found)
        names.update(set(_named(base, number, found)))
    if not with_marks:
        return f"In training, nothing was marked as spurious ({looked_at} of {len(dataset)} samples were looked at)."
    listed = ", ".join(name for name, _ in names.most_common(12)) + (" and others" if len(names) > 12 else "")
    done = "its content was exchanged and its presence drawn" if intervenes(run.config) else "nothing was exchanged"
    weight = run.config.regularizer.weight
    penalised = f", the penalty's weight was {weight}" if weight else ""
    return (
        f"In training, {looked_at} of {len(dataset)} samples were looked at, and {with_marks} carry spurious marks, on: "
        f"{listed}; {done}{penalised}."
    )


def lexicon_of(runs: list[FinishedRun]) -> Counterparts | None:
    """The recipe's own lexicon; if it has none, the marked words, each as its own group."""
    for run in runs:
        if run.experiment.lexicon is not None:
            return run.experiment.lexicon
    dataset: Any = runs[-1].experiment.train.dataset
    base = _base(dataset)
    if not isinstance(base, Texts | Instructions):
        return None
    words: Counter[str] = Counter()
    for number in range(len(dataset)):
        places = (dataset[number].annotation < 0).nonzero().flatten().tolist()
        words.update(word for word in _named(base, number, places) if any(map(str.isalnum, word)))
    terms = [word for word, _ in words.most_common(_MOST_TERMS)]
    return Counterparts({"marked words": terms}, match="word") if len(terms) > 1 else None


def check_same_data(runs: list[FinishedRun]) -> None:
    """Refuse runs that were tested on different data.

    Raises:
        ValueError: The data differ.
    """
    one = _contents(_base(runs[0].experiment.test.dataset))
    for run in runs[1:]:
        if _contents(_base(run.experiment.test.dataset)) != one:
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


def _named(base: Texts | Table | Instructions, number: int, places: list[int]) -> list[str]:
    """The words or columns of a sample at some places; for a prompt, the text of its marked spans."""
    if isinstance(base, Instructions):
        one = base.instructions[number]
        return [one.prompt[start:end] for start, end in one.spans or ()] if places else []
    return [base.words[number][place] if isinstance(base, Texts) else base.columns[place] for place in places]


def _base(dataset: Dataset[Any]) -> Any:
    """The recipe's own dataset, without the annotations around it."""
    found: Any = dataset
    while not isinstance(found, Texts | Table | TokenSamples) and hasattr(found, "base"):
        found = found.base
    return found


def _class(name: str | None, classes: list[str]) -> int:
    if name is None:
        return min(1, len(classes) - 1)
    if name not in classes:
        raise ValueError(f"There is no class {name!r}{nearest(name, classes)}. There are: {', '.join(classes)}.")
    return classes.index(name)
