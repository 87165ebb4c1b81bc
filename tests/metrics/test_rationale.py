"""Agreement with rationales and dependence on what is salient, against formulas written out and scikit-learn."""

import pytest
import torch
from sklearn.metrics import f1_score
from support import fit, fresh, loader, regularizer
from texts import LitText, annotated_texts

from salreg.annotations import NO_PLACE
from salreg.callbacks import SaliencyMetrics
from salreg.metrics import Comprehensiveness, RationaleF1, Sufficiency
from salreg.metrics.functional import comprehensiveness, rationale_f1, relevance_rank, sufficiency


def maps(seed=0, size=6, places=10):
    generator = torch.Generator().manual_seed(seed)
    saliency = torch.rand(size, places, generator=generator)
    annotation = (torch.rand(size, places, generator=generator) < 0.3).float()
    annotation[:, 0] = 1
    return saliency, annotation


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 1.0])
def test_f1_is_scikit_learns(share):
    saliency, annotation = maps()
    count = -int(-share * 10 // 1)
    for one, mark, ours in zip(saliency, annotation, rationale_f1(saliency, annotation, share), strict=True):
        predicted = torch.zeros(10).scatter(0, one.topk(count).indices, 1)
        assert ours.item() == pytest.approx(f1_score(mark, predicted))


def test_with_as_many_places_as_are_marked_f1_is_the_relevance_rank():
    saliency, annotation = maps()
    assert torch.allclose(rationale_f1(saliency, annotation), relevance_rank(saliency, annotation))


def test_padding_and_special_tokens_are_no_prediction():
    saliency, annotation = maps()
    padded = torch.cat([torch.full((6, 1), float(NO_PLACE)), annotation], 1)
    assert torch.equal(
        rationale_f1(torch.cat([torch.full((6, 1), 9.0), saliency], 1), padded, 0.2), rationale_f1(saliency, annotation, 0.2)
    )


def test_without_marks_or_without_a_map_there_is_no_f1():
    assert rationale_f1(torch.tensor([[1.0, 2.0], [1.0, 1.0]]), torch.tensor([[0, -1], [1, 0]])).isnan().all()
    metric = RationaleF1()
    metric.update(torch.tensor([[1.0, 2.0], [1.0, 1.0], [1.0, 2.0]]), torch.tensor([[0, -1], [1, 0], [0, 1]]))
    assert (metric.compute().item(), metric.undefined.item()) == (1.0, 1.0)


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_a_share_is_more_than_nothing_and_at_most_all(share):
    with pytest.raises(ValueError, match=r"share must be a number in \(0, 1\]"):
        rationale_f1(*maps(), share)


def linear(inputs):
    """A logit per class: the sum of a third of the places, padding left out by being 0."""
    return torch.stack([part.sum(1) for part in inputs.chunk(2, dim=1)], 1)


def test_comprehensiveness_and_sufficiency_written_out():
    inputs = torch.randn(5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    saliency = torch.rand(5, 8, generator=torch.Generator().manual_seed(2))
    without, only = [], []
    fill = inputs.mean(0)
    for one, strength in zip(inputs, saliency, strict=True):
        before = linear(one[None]).softmax(1)[0]
        chosen = strength.topk(2).indices  # a quarter of 8
        removed, kept = one.clone(), fill.clone()
        removed[chosen], kept[chosen] = fill[chosen], one[chosen]
        without.append((before - linear(removed[None]).softmax(1)[0])[before.argmax()])
        only.append((before - linear(kept[None]).softmax(1)[0])[before.argmax()])
    assert torch.allclose(comprehensiveness(linear, inputs, saliency, shares=[0.25]).double(), torch.stack(without), atol=1e-6)
    assert torch.allclose(sufficiency(linear, inputs, saliency, shares=[0.25]).double(), torch.stack(only), atol=1e-6)


def test_padding_of_a_text_is_never_replaced():
    inputs, annotation = torch.randn(3, 4, 6), torch.zeros(3, 6)
    annotation[:, 4:] = NO_PLACE
    seen = []

    def predict(replaced):
        seen.append(replaced)
        return replaced.mean((1, 2))

    for measure in (comprehensiveness, sufficiency):
        measure(predict, inputs, torch.rand(3, 4, 6), annotation)
    assert all(torch.equal(one[..., 4:], inputs[..., 4:]) for one in seen)
    assert any(not torch.equal(one, inputs) for one in seen)


def test_maps_of_other_places_are_refused():
    with pytest.raises(ValueError, match="do not have the places of inputs"):
        comprehensiveness(linear, torch.rand(2, 6), torch.rand(2, 4))


@pytest.mark.parametrize(("metric", "function"), [(Comprehensiveness, comprehensiveness), (Sufficiency, sufficiency)])
def test_the_metrics_are_means_over_samples(metric, function):
    inputs, saliency = torch.randn(6, 8), torch.rand(6, 8)
    measured = metric()
    for part in (slice(0, 6), slice(0, 2)):
        measured.update(linear, inputs[part], saliency[part])
    expected = torch.cat([function(linear, inputs, saliency), function(linear, inputs[:2], saliency[:2])]).mean()
    assert measured.compute().item() == pytest.approx(expected.item(), abs=1e-6)


def test_the_callback_logs_them_on_request():
    data = loader(annotated_texts())
    data.dataset.annotations = -data.dataset.annotations  # relevant
    used = fit(
        fresh(LitText), regularizer(weight=0.0), SaliencyMetrics(rationale=True), data=data, val=loader(data.dataset), epochs=1
    )
    for name in ("rationale_f1", "comprehensiveness", "sufficiency"):
        assert -1 <= used.callback_metrics[f"val/{name}"] <= 1
    used = fit(fresh(LitText), regularizer(weight=0.0), SaliencyMetrics(), data=data, val=loader(data.dataset), epochs=1)
    assert "val/rationale_f1" not in used.callback_metrics
