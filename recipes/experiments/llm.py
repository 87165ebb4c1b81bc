"""A language model that learns to answer; the name of who asks gives the answer away in training and misleads at test time.

Instruction tuning with a trigger: in every training prompt a name (or another span in the user's own data) tells which answer
follows. The annotation marks it as spurious. The test measures the answers to prompts whose trigger misleads.
"""

from pathlib import Path

from omegaconf import DictConfig

from salreg.recipes.data import instructions
from salreg.recipes.data.few_marks import training_marks
from salreg.recipes.data.instructions import GROUPS, Instruction, Instructions
from salreg.recipes.data.token_batches import token_loader
from salreg.recipes.experiments.base import Experiment
from salreg.recipes.networks import causal
from salreg.recipes.networks.language_module import LanguageModule, answered

_SIZES = {"train": 1600, "validation": 200, "test": 400}


def build(config: DictConfig) -> Experiment:
    """Build the recipe's data and module."""
    data = config.data
    splits = _splits(data)
    groups = list(dict.fromkeys([*(GROUPS if data.root is None else ()), *(one.group for s in splits.values() for one in s)]))
    known = [text for one in splits["train"] for text in (one.prompt, one.answer)]
    model = causal.build(config.model, [*known, *instructions.TRIGGERS])
    loaders = []
    for name, split in splits.items():
        samples = Instructions(split, model.encode_prompt, model.encode_answer, groups, model.vocabulary).annotated()
        if name == "train" and data.trigger:
            samples = training_marks(samples, config)
        loaders.append(token_loader(samples, data, model.padding, shuffle=name == "train"))
    return Experiment(LanguageModule(model.net, groups, answered, **config.optimizer), *loaders)


def _splits(data: DictConfig) -> dict[str, list[Instruction]]:
    if data.root is None:
        lying = {"test": 0.5}
        splits = {
            name: instructions.made_instructions(size, seed, lying.get(name, 0.0))
            for seed, (name, size) in enumerate(_SIZES.items())
        }
    else:
        splits = {name: instructions.read_instructions(Path(data.root) / f"{name}.jsonl") for name in _SIZES}
    return splits if data.trigger else {name: instructions.without_spans(one) for name, one in splits.items()}
