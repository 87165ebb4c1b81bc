"""Every row of the second table of docs/compatibility.md, trained."""

import warnings

import pytest
from compatibility.by_hand import WEIGHT, trained, written
from compatibility.pairs import PAIRS, Attending
from support import Lit, distance, fresh, regularizer

from salreg.attributions import InputTimesGradient, RawAttention
from salreg.callbacks import SaliencyRegularizer
from salreg.interventions import Intervention


def _ours(feature, callback):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return trained(fresh(feature.make), callback, **feature.options())


@pytest.fixture(scope="module", params=PAIRS, ids=" x ".join)
def pair(request):
    """A pair and its training without salreg."""
    feature = PAIRS[request.param]
    return feature, written(feature, 0.0)


def test_a_penalty_trains_like_one_written_by_hand(pair):
    feature, plain = pair
    expected = written(feature, WEIGHT)
    ours = _ours(feature, regularizer(attribution=InputTimesGradient("log_prob_sum"), weight=WEIGHT, differentiation="exact"))
    changed = distance(expected, plain)
    assert changed > 1e-5
    assert distance(expected, ours) < feature.loose["exact"] * changed


def test_an_intervention_trains_like_one_written_by_hand(pair):
    feature, plain = pair
    ours = _ours(feature, SaliencyRegularizer())
    assert distance(ours, plain) > 1e-5
    if feature.processes == 1:  # or each process draws for itself
        assert distance(ours, written(feature, 0.0, Intervention())) < 0.05 * distance(ours, plain)


def test_attention_weights_inside_of_a_checkpoint_train_as_without_one():
    def train(checkpointed):
        callback = regularizer(attribution=RawAttention(read="mean"), weight=3.0)
        return trained(fresh(lambda: Lit(Attending(checkpointed))), callback)

    plain = trained(fresh(lambda: Lit(Attending(False))), regularizer(weight=0))
    without = train(checkpointed=False)
    changed = distance(without, plain)
    assert changed > 1e-5
    assert distance(train(checkpointed=True), without) < 1e-3 * changed
    assert distance(trained(fresh(lambda: Lit(Attending(True))), SaliencyRegularizer()), plain) > 1e-5
