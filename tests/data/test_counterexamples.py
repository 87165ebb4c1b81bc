"""Copies whose spurious region shows something else."""

import pytest
import torch
from support import Lit, annotated, fit, fresh, images, loader, regularizer
from torch.utils.data import DataLoader, TensorDataset

from salreg.data import AnnotatedDataset, Counterexamples

X, Y, MARKS = images(6)  # samples 0 and 3 are not annotated


def made(**options):
    return Counterexamples(AnnotatedDataset(TensorDataset(X, Y), MARKS), **options)


def test_annotated_samples_alone_are_copied():
    assert len(made(copies=2)) == 6 + 2 * 4
    assert torch.equal(made()[2].sample[0], X[2])


@pytest.mark.parametrize("replacement", ["uniform", "shuffle"])
def test_a_copy_differs_in_the_spurious_region_and_nowhere_else(replacement):
    data = Counterexamples(AnnotatedDataset(TensorDataset(torch.rand(6, 2, 8, 8), Y), MARKS), replacement=replacement)
    copy, original = data[6], data[1]
    changed = (copy.sample[0] != original.sample[0]).any(0)
    assert changed[:3, :3].sum() > 5
    assert not changed[3:].any()
    assert copy.sample[1] == original.sample[1]
    assert torch.equal(copy.annotation, original.annotation)


def test_content_is_drawn_anew_each_time_and_in_every_worker():
    data = made(copies=1)
    assert not torch.equal(data[6].sample[0], data[6].sample[0])
    torch.manual_seed(0)
    batches = [batch.sample[0] for batch in DataLoader(data, batch_size=5, num_workers=2)]
    torch.manual_seed(1)
    assert not torch.equal(batches[1], list(DataLoader(data, batch_size=5, num_workers=2))[1].sample[0])


def test_a_module_trains_on_them():
    used = fit(fresh(Lit), regularizer(), data=loader(Counterexamples(annotated())))
    assert used.global_step == 2 * 5  # 24 samples and 16 copies in batches of 8


def test_what_cannot_be_done_is_refused():
    with pytest.raises(TypeError, match="not TensorDataset"):
        Counterexamples(TensorDataset(X))
    with pytest.raises(ValueError, match="nothing to make counterexamples from"):
        Counterexamples(AnnotatedDataset(TensorDataset(X, Y), -MARKS))
    with pytest.raises(ValueError, match="uniform or shuffle"):
        made(replacement="swap")
    with pytest.raises(ValueError, match="no floating point tensor"):
        Counterexamples(AnnotatedDataset(TensorDataset(Y), MARKS))[6]
