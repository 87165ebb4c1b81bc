"""A share of the marks, and carrying them over."""

from functools import partial

import pytest
import torch
from torch.utils.data import TensorDataset

from salreg.data import AnnotatedDataset
from salreg.propagation import PropagationError, propagate
from salreg.recipes.data import few_marks
from salreg.recipes.data.few_marks import with_few_marks
from salreg.recipes.experiments.sst_decoy import DECOYS
from salreg.recipes.training.config import load
from salreg.recipes.training.run import build


def images(size=200):
    """Noise with a bright square somewhere, which is marked."""
    generator = torch.Generator().manual_seed(0)
    pixels, marks = torch.rand(size, 1, 12, 12, generator=generator) / 2, torch.zeros(size, 1, 12, 12, dtype=torch.int8)
    for image, mark in zip(pixels, marks, strict=True):
        top, left = torch.randint(9, (2,), generator=generator).tolist()
        image[:, top : top + 3, left : left + 3], mark[:, top : top + 3, left : left + 3] = 1, -1
    return AnnotatedDataset(TensorDataset(pixels, torch.arange(size)), marks)


def test_all_marks_are_those_of_the_dataset():
    dataset = images()
    assert with_few_marks(dataset, 1.0, carry_over=True, seed=0) is dataset


def test_a_share_of_the_samples_was_looked_at_and_keeps_its_marks():
    dataset = images()
    few = with_few_marks(dataset, 0.1, carry_over=False, seed=0)
    looked = [number for number in range(200) if few[number].looked_at]
    assert len(looked) == 20
    assert all(torch.equal(few[number].annotation, dataset[number].annotation) for number in looked)
    assert not any(few[number].annotation.any() for number in set(range(200)) - set(looked))


def test_the_seed_draws_them():
    drawn = [with_few_marks(images(), 0.1, carry_over=False, seed=seed) for seed in (0, 0, 1)]
    chosen = [[number for number in range(200) if one[number].looked_at] for one in drawn]
    assert chosen[0] == chosen[1] != chosen[2]


def test_one_sample_is_looked_at_at_least():
    few = with_few_marks(images(), 0.001, carry_over=False, seed=0)
    assert sum(bool(few[number].looked_at) for number in range(200)) == 1


def test_marks_of_images_are_carried_over(monkeypatch):
    monkeypatch.setattr(few_marks, "propagate", partial(propagate, steps=30))
    dataset = images()
    carried = with_few_marks(dataset, 0.1, carry_over=True, seed=0)
    both = [(carried[number].annotation < 0, dataset[number].annotation < 0) for number in range(200)]
    common, either = (sum(int(one(a, b).sum()) for a, b in both) for one in (torch.logical_and, torch.logical_or))
    assert common / either > 0.6
    assert all(carried[number].looked_at for number in range(200))


def test_marks_of_words_are_carried_over():
    train = build(load("sst_decoy", ["data.marked=0.01", "data.carry_over=true"])).train.dataset
    numbers = {train.base.vocabulary.index(word) for word in DECOYS}
    for number in range(len(train)):
        drawn = train[number]
        (marked,) = drawn.sample[0][drawn.annotation < 0].tolist()
        assert marked in numbers


def test_marks_of_prompts_are_carried_over_and_answers_have_none():
    train = build(load("llm", ["data.marked=0.01", "data.carry_over=true"])).train.dataset
    whole = build(load("llm", [])).train.dataset
    assert all(torch.equal(train[number].annotation, whole[number].annotation) for number in range(len(train)))
    few = build(load("llm", ["data.marked=0.01"])).train.dataset
    assert sum(bool(few[number].looked_at) for number in range(len(few))) == 16


def test_the_reference_without_a_trigger_carries_nothing_over():
    train = build(load("llm", ["data.trigger=false", "data.marked=0.01", "data.carry_over=true"])).train.dataset
    assert not any(train[number].looked_at for number in range(20))


def test_too_few_marks_to_carry_over_are_said():
    with pytest.raises(PropagationError, match="at least 4"):
        with_few_marks(images(), 0.01, carry_over=True, seed=0)


@pytest.mark.parametrize("share", [0, 1.5, -0.1])
def test_what_is_no_share_is_refused(share):
    with pytest.raises(ValueError, match=r"data.marked must be a share in \(0, 1\]"):
        with_few_marks(images(), share, carry_over=False, seed=0)


def test_the_reference_without_a_shortcut_carries_nothing_over():
    train = build(load("decoy_digits", ["data.decoy=false", "data.marked=0.01", "data.carry_over=true"])).train.dataset
    assert not any(train[number].annotation.any() for number in range(20))
