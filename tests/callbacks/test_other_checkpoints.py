"""Going on from a checkpoint of another penalty, or of inputs with other channels: named, and what fits is kept."""

import warnings

import pytest
import torch
from support import fit, fresh, loader, regularizer, trainer

from salreg.callbacks import SaliencyRegularizer
from salreg.input_spread import InputSpread


@pytest.fixture
def checkpoint(tmp_path):
    fit(fresh(), regularizer(), epochs=1).save_checkpoint(tmp_path / "one.ckpt")
    return tmp_path / "one.ckpt"


@pytest.mark.parametrize(
    "other",
    [
        lambda: SaliencyRegularizer(preset="gradmask"),
        lambda: SaliencyRegularizer(preset="saliency_guided"),
        lambda: regularizer(attribution="smooth_grad"),
        lambda: regularizer(loss="energy"),
    ],
    ids=["a preset", "a penalty of another kind", "an attribution with random numbers", "a loss"],
)
def test_another_penalty_starts_anew_and_that_is_said(checkpoint, other):
    callback = other()
    with pytest.warns(UserWarning, match="from a training with RightForRightReasons of .*, but this one has .* starts anew"):
        trainer(callback, epochs=2).fit(fresh(), loader(), ckpt_path=checkpoint)
    assert callback.state_dict()["steps"] == 6  # three of each training


def test_the_same_penalty_goes_on_without_a_word(checkpoint):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*The checkpoint comes from a training with.*")
        trainer(regularizer(), epochs=2).fit(fresh(), loader(), ckpt_path=checkpoint)


def test_a_spread_of_one_channel_is_not_used_for_three():
    one, three = InputSpread(), InputSpread()
    one.update(torch.rand(4, 1, 3, 3), torch.ones(4, dtype=torch.bool))
    three.load_state_dict(one.state_dict())
    with pytest.raises(ValueError, match="The input has 3 channels, and those before, .* had 1"):
        three.update(torch.rand(4, 3, 3, 3), torch.ones(4, dtype=torch.bool))
