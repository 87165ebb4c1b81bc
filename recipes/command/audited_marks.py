"""What was marked on the training data of a finished run, counted in one pass, and a lexicon of it."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from omegaconf import DictConfig
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from salreg.annotations import Counterparts
from salreg.recipes.data.instructions import Instructions
from salreg.recipes.data.tables import Table
from salreg.recipes.data.texts import Texts
from salreg.recipes.data.token_batches import TokenSamples
from salreg.recipes.training.callbacks import intervenes
from salreg.recipes.training.finished_run import FinishedRun

_MOST_TERMS = 8  # of those that were marked, where there is no lexicon


class Marked(NamedTuple):
    """What is marked as spurious on training data.

    Attributes:
        samples: How many samples there are.
        looked_at: How many of them somebody looked at.
        marked: How many carry a mark.
        names: In how many samples each word, or column, is marked.
        words: Whether these are words.
    """

    samples: int
    looked_at: int
    marked: int
    names: Counter[str]
    words: bool

    def in_words(self, config: DictConfig) -> str:
        """That, and what a training with this configuration did about it."""
        if not self.marked:
            return f"In training, nothing was marked as spurious ({self.looked_at} of {self.samples} samples were looked at)."
        listed = ", ".join(name for name, _ in self.names.most_common(12)) + (" and others" if len(self.names) > 12 else "")
        done = "its content was exchanged and its presence drawn" if intervenes(config) else "nothing was exchanged"
        weight = config.regularizer.weight
        penalised = f", the penalty's weight was {weight}" if weight else ""
        return (
            f"In training, {self.looked_at} of {self.samples} samples were looked at, and {self.marked} carry spurious marks, "
            f"on: {listed}; {done}{penalised}."
        )


def marks_of(run: FinishedRun) -> Marked:
    """What is marked on the training data of a run.

    Raises:
        ValueError: The run answers with something else than a class, or its data are neither texts nor a table.
    """
    dataset: Any = run.experiment.train.dataset
    base, looked_at, marked, names = audited_base(run, run.experiment.train), 0, 0, Counter[str]()
    for number in tqdm(range(len(dataset)), "Looking at marks", leave=False, disable=None):
        sample = dataset[number]
        places = (sample.annotation < 0).nonzero().flatten().tolist()
        looked_at += bool(sample.looked_at)
        marked += bool(places)
        names.update(set(_named(base, number, places)))
    return Marked(len(dataset), looked_at, marked, names, not isinstance(base, Table))


def lexicon_of(runs: Sequence[FinishedRun], marks: Sequence[Marked]) -> Counterparts | None:
    """The recipe's own lexicon, or else the words that are marked on the last run's training data, each a group of its own."""
    for run in runs:
        if run.experiment.lexicon is not None:
            return run.experiment.lexicon
    words = [name for name, _ in marks[-1].names.most_common() if any(map(str.isalnum, name))] if marks[-1].words else []
    return Counterparts({"marked words": words[:_MOST_TERMS]}, match="word") if len(words) > 1 else None


def audited_base(run: FinishedRun, data: DataLoader[Any]) -> Any:
    """The recipe's own dataset, if it is one that can be audited.

    Raises:
        ValueError: It is another one.
    """
    base = base_of(data.dataset)
    if not isinstance(base, Texts | Table | Instructions):
        raise ValueError(_refusal(run, base))
    return base


def base_of(dataset: Dataset[Any]) -> Any:
    """The recipe's own dataset, below annotations."""
    found: Any = dataset
    while not isinstance(found, Texts | Table | TokenSamples) and hasattr(found, "base"):
        found = found.base
    return found


def _refusal(run: FinishedRun, base: Any) -> str:
    if isinstance(base, TokenSamples):
        return (
            f"{run.folder} belongs to the recipe {run.config.recipe}, which answers with places or texts, but an audit "
            "compares classes. What it relies on was measured in training: reliance and the accuracy under intervention in "
            "results.json and report.html. For a few given answers, pass salreg.audit.AnswerModel to audit_texts."
        )
    return f"{run.folder} belongs to the recipe {run.config.recipe}, whose data are neither texts nor a table."


def _named(base: Texts | Table | Instructions, number: int, places: list[int]) -> list[str]:
    """The words or columns of a sample at some places; of a prompt, what its spans mark."""
    if isinstance(base, Instructions):
        one = base.instructions[number]
        return [one.prompt[start:end] for start, end in one.spans or ()] if places else []
    return [base.words[number][place] if isinstance(base, Texts) else base.columns[place] for place in places]
