"""Every cell of docs/compatibility.md, trained."""

import functools
import warnings
from pathlib import Path

import pytest
from compatibility.by_hand import WEIGHT, trained, written
from compatibility.matrix import FEATURES, WAYS, table
from support import distance, fresh, regularizer

from salreg.attributions import InputTimesGradient
from salreg.callbacks import SaliencyRegularizer
from salreg.interventions import Intervention


@functools.cache
def expected_of(name, weight):
    """The module that a step written by hand trains, made once for all ways."""
    return written(FEATURES[name], weight)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [name for name, feature in FEATURES.items() if not feature.refused])
def test_it_trains_like_a_step_written_by_hand(name, way):
    feature = FEATURES[name]
    expected, plain = expected_of(name, WEIGHT), expected_of(name, 0.0)
    callback = regularizer(attribution=InputTimesGradient("log_prob_sum"), weight=WEIGHT, **WAYS[way])
    if callback.penalty.method.compiled is not None:
        callback.penalty.method.compiled.backend = "aot_eager"  # compiles faster
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = trained(fresh(feature.make), callback, **feature.options())
    if callback.penalty.method.compiled is not None:
        assert not callback.penalty.method.compiled.problem
    changed = distance(expected, plain)
    assert changed > 1e-5
    assert distance(expected, ours) < feature.loose[way] * changed


@pytest.mark.parametrize("name", FEATURES)
def test_an_intervention_trains_like_a_step_written_by_hand(name):
    feature = FEATURES[name]
    plain = expected_of(name, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = trained(fresh(feature.make), SaliencyRegularizer(), **feature.options())
    assert distance(ours, plain) > 1e-5
    if feature.processes == 1:  # each process draws for itself
        assert distance(ours, written(feature, 0.0, Intervention())) < 0.05 * distance(ours, plain)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [name for name, feature in FEATURES.items() if feature.refused])
def test_what_is_refused_says_what_to_change(name, way):
    feature = FEATURES[name]
    with pytest.raises((RuntimeError, ValueError), match=feature.refused[way]):
        trained(fresh(feature.make), regularizer(**WAYS[way]), **feature.options())


def test_the_page_is_what_was_tested():
    page = Path(__file__).parents[2] / "docs" / "compatibility.md"
    assert page.read_text("utf-8") == table(), "run `make compatibility`"
