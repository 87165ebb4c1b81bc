"""``salreg audit``: what finished runs of text and table recipes rely on, as a page, as JSON and as a model card."""

import argparse
import json
import os
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset
from tqdm import tqdm

from salreg.annotations import Counterparts
from salreg.audit import Audit, Encoded, TextModel, audit_table, audit_texts, model_card, page
from salreg.audit.words import compared, findings
from salreg.callbacks.atomic_write import atomic_write
from salreg.names import nearest
from salreg.recipes.data.lexicons import read_lexicon
from salreg.recipes.data.tables import Table
from salreg.recipes.data.texts import Texts, encoder
from salreg.recipes.training import finished_run, run_folder
from salreg.recipes.training.callbacks import intervenes
from salreg.recipes.training.finished_run import FinishedRun
from salreg.recipes.training.packaged import ConfigError

_MOST_TERMS = 8  # of those that were marked, where there is no lexicon


def audit(options: argparse.Namespace) -> None:
    """Audit one run, or two side by side, before and after."""
    folders = [options.run, *([options.after] if options.after else [])]
    try:
        lexicon = None if options.lexicon is None else read_lexicon(options.lexicon)
        runs = [finished_run.load(folder) for folder in folders]
        _check_same_data(runs)
        lexicon = lexicon or _lexicon_of(runs)
        names = _names(folders)
        audits = {name: audited(run, lexicon, options) for name, run in zip(names, runs, strict=True)}
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error)) from error
    if options.out is None:
        folder = run_folder.create(folders[-1], "audit")
    else:
        folder = options.out
        folder.mkdir(parents=True, exist_ok=False)
    for name, one in audits.items():
        print(f"\n{name}:" if len(audits) > 1 else "")
        print("\n".join(f"- {said}" for said in findings(one)))
    if len(audits) > 1:
        print("\n" + "\n".join(["Before and after:", *(f"- {said}" for said in compared(list(audits.values())))]))
    _write(folder, audits, str(runs[-1].config.recipe), lexicon)
    print(f"\nPage, for a browser: {folder / 'audit.html'}")
    print(f"Model card: {folder / 'model_card.md'}")
    print(f"All numbers: {folder / 'audit.json'}")


def audited(run: FinishedRun, lexicon: Counterparts | None, options: argparse.Namespace) -> Audit:
    """The audit of a run's test data.

    Raises:
        ValueError: The run is of images, of a class that does not exist, or of texts and there is no lexicon.
    """
    base, module = _base(run.experiment.test.dataset), run.experiment.module
    if not isinstance(base, Texts | Table):
        raise ValueError(f"{run.folder} is of the recipe {run.config.recipe}, whose data are neither texts nor a table.")
    groups = getattr(module, "groups", [])
    numbers = base.groups if isinstance(base, Texts) else base.tensors[2].tolist()
    known = {
        "classes": base.classes, "positive": _class(options.positive, base.classes), "marked": marked(run),
        "groups": {"group": [groups[one] for one in numbers]} if len(set(numbers)) > 1 else {}, "seed": options.seed,
        "worst": options.pairs,
    }  # fmt: skip
    if isinstance(base, Table):
        return audit_table(module, base.tensors[0], base.tensors[1], base.columns, features=base.features, **known)
    if lexicon is None:
        raise ValueError(
            "No text is marked, so that the terms are not known: give --lexicon, a YAML {axis: {group: [term, ...]}}."
        )
    encode = encoder(base.vocabulary)
    model = TextModel(module, lambda texts: Encoded(*encode(texts)))
    return audit_texts(model, [" ".join(words) for words in base.words], base.labels, lexicon, **known)


def marked(run: FinishedRun) -> str:
    """What was marked on the training data, in words, and what was done about it."""
    dataset: Any = run.experiment.train.dataset
    base, looked_at, with_marks, names = _base(dataset), 0, 0, Counter[str]()
    for number in tqdm(range(len(dataset)), "Looking at marks", leave=False, disable=None):
        sample = dataset[number]
        found = (sample.annotation < 0).nonzero().flatten().tolist()
        looked_at += bool(sample.looked_at)
        with_marks += bool(found)
        if isinstance(base, Texts):
            names.update({base.words[number][place] for place in found})
        else:
            names.update(base.columns[place] for place in found)
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


def _base(dataset: Dataset[Any]) -> Any:
    """The recipe's own dataset, below annotations."""
    found: Any = dataset
    while not isinstance(found, Texts | Table) and hasattr(found, "base"):
        found = found.base
    return found


def _class(name: str | None, classes: list[str]) -> int:
    if name is None:
        return min(1, len(classes) - 1)
    if name not in classes:
        raise ValueError(f"There is no class {name!r}{nearest(name, classes)}. There are: {', '.join(classes)}.")
    return classes.index(name)


def _lexicon_of(runs: list[FinishedRun]) -> Counterparts | None:
    """The recipe's own lexicon, or else the words that were marked, each a group of its own."""
    for run in runs:
        if run.experiment.lexicon is not None:
            return run.experiment.lexicon
    dataset: Any = runs[-1].experiment.train.dataset
    base = _base(dataset)
    if not isinstance(base, Texts):
        return None
    words: Counter[str] = Counter()
    for number in range(len(dataset)):
        places = (dataset[number].annotation < 0).nonzero().flatten().tolist()
        words.update(base.words[number][place] for place in places if any(map(str.isalnum, base.words[number][place])))
    terms = [word for word, _ in words.most_common(_MOST_TERMS)]
    return Counterparts({"marked words": terms}, match="word") if len(terms) > 1 else None


def _check_same_data(runs: list[FinishedRun]) -> None:
    contents = [_base(run.experiment.test.dataset) for run in runs]
    if len(contents) < 2:
        return
    one, other = contents
    if isinstance(one, Texts) and isinstance(other, Texts):
        same = one.words == other.words and one.labels == other.labels
    else:
        same = isinstance(one, Table) and isinstance(other, Table) and one.columns == other.columns
        same = same and all(map(torch.equal, one.tensors, other.tensors))
    if not same:
        raise ValueError(
            f"{runs[0].folder} and {runs[1].folder} were tested on different data, so that their numbers do not compare. Take "
            "two arms with the same seed, or audit each alone."
        )


def _names(folders: list[Path]) -> list[str]:
    """What tells the folders apart."""
    if len(folders) == 1:
        return [folders[0].resolve().name]
    paths = [folder.resolve() for folder in folders]
    common = Path(os.path.commonpath(paths))
    names = [path.relative_to(common).parts for path in paths]
    while all(len(one) > 1 for one in names) and names[0][-1] == names[1][-1]:
        names = [one[:-1] for one in names]
    if names[0] == names[1]:
        raise ValueError(f"{folders[0]} is given twice; before and after are two runs.")
    return ["/".join(one) or path.name for one, path in zip(names, paths, strict=True)]


def _write(folder: Path, audits: Mapping[str, Audit], recipe: str, lexicon: Counterparts | None) -> None:
    numbers = {
        "audits": {name: one.as_dict() for name, one in audits.items()},
        "lexicon": None if lexicon is None else lexicon.axes,
        "versions": {package: version(package) for package in ("salreg", "torch")},
    }
    contents = {
        "audit.html": page(audits, f"What the model relies on: {recipe}"),
        "audit.json": json.dumps(numbers, indent=2, allow_nan=False) + "\n",
        "model_card.md": model_card(audits, recipe),
    }
    for name, text in contents.items():
        with atomic_write(folder / name) as path:
            path.write_text(text, "utf-8")
