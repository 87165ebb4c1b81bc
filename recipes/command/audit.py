"""``salreg audit``: measures what finished runs on texts or tables rely on; writes a page, JSON and a model card."""

import argparse
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from salreg.annotations import Counterparts
from salreg.audit import Audit, model_card, page, spreads
from salreg.audit.trainings import sentences as over_trainings
from salreg.audit.words import compared, findings
from salreg.callbacks.atomic_write import atomic_write
from salreg.recipes.command import audited_runs
from salreg.recipes.command.audited_data import audited, check_same_data
from salreg.recipes.command.audited_marks import lexicon_of, marks_of
from salreg.recipes.data.lexicons import read_lexicon
from salreg.recipes.training import finished_run, run_folder
from salreg.recipes.training.packaged import ConfigError


def audit(options: argparse.Namespace) -> None:
    """Audit one run, or two side by side (before and after); of folders with several seeds, all runs are audited."""
    try:
        folders = audited_runs.kinds(options.run, options.after)
        lexicon = None if options.lexicon is None else read_lexicon(options.lexicon)
        runs = [[finished_run.load(one) for one in trainings] for trainings in folders.values()]
        check_same_data([one for trainings in runs for one in trainings])
        marks = [[marks_of(one) for one in trainings] for trainings in runs]
        lexicon = lexicon or lexicon_of([trainings[0] for trainings in runs], [own[0] for own in marks])
        trainings = {
            name: [audited(*one, lexicon, options) for one in zip(*own, strict=True)]
            for name, own in zip(folders, zip(runs, marks, strict=True), strict=True)
        }
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error)) from error
    if options.out is None:
        folder = run_folder.create(options.after or options.run, "audit")
    else:
        folder = options.out
        folder.mkdir(parents=True, exist_ok=False)
    _tell(trainings)
    _write(folder, trainings, str(runs[-1][0].config.recipe), lexicon)
    print(f"\nPage, for a browser: {folder / 'audit.html'}")
    print(f"Model card: {folder / 'model_card.md'}")
    print(f"All numbers: {folder / 'audit.json'}")


def _tell(trainings: Mapping[str, Sequence[Audit]]) -> None:
    audits = _first(trainings)
    if max(map(len, trainings.values())) > 1:
        print(
            "\n" + "\n".join([f"Over trainings ({' → '.join(trainings)}):", *(f"- {one}" for one in over_trainings(trainings))])
        )
        return
    for name, one in audits.items():
        print(f"\n{name}:" if len(audits) > 1 else "")
        print("\n".join(f"- {said}" for said in findings(one)))
    if len(audits) > 1:
        print("\n" + "\n".join(["Before and after:", *(f"- {said}" for said in compared(list(audits.values())))]))


def _first(trainings: Mapping[str, Sequence[Audit]]) -> dict[str, Audit]:
    return {name: own[0] for name, own in trainings.items()}


def _write(folder: Path, trainings: Mapping[str, Sequence[Audit]], recipe: str, lexicon: Counterparts | None) -> None:
    audits = _first(trainings)
    numbers = {
        "audits": {name: one.as_dict() for name, one in audits.items()},
        "trainings": {name: [one.as_dict() for one in own] for name, own in trainings.items() if len(own) > 1},
        "over trainings": {name: _numbers(own) for name, own in trainings.items() if len(own) > 1},
        "lexicon": None if lexicon is None else lexicon.axes,
        "versions": {package: version(package) for package in ("salreg", "torch")},
    }
    contents = {
        "audit.html": page(audits, f"What the model relies on: {recipe}", trainings),
        "audit.json": json.dumps(numbers, indent=2, allow_nan=False) + "\n",
        "model_card.md": model_card(audits, recipe, trainings),
    }
    for name, text in contents.items():
        with atomic_write(folder / name) as path:
            path.write_text(text, "utf-8")


def _numbers(audits: Sequence[Audit]) -> list[dict[str, Any]]:
    """Means and standard deviations for ``json.dumps``."""
    return [
        {
            **key._asdict(),
            "mean": one.mean,
            "deviation": one.deviation if one.trainings > 1 else None,
            "trainings": one.trainings,
        }
        for key, one in spreads(audits).items()
        if one.trainings
    ]
