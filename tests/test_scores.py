import re

import pytest
import torch
from torch.nn.functional import cross_entropy

from salreg import scores

LOGITS = torch.tensor([[1.0, 2.0, -1.0], [0.0, 0.0, 3.0]])
TARGET = torch.tensor([0, 2])


def test_scores_follow_their_definitions():
    log_p = LOGITS.log_softmax(1)
    assert torch.equal(scores.log_prob_sum(LOGITS), log_p.sum(1))
    assert scores.target_logit(LOGITS, TARGET).tolist() == [1.0, 3.0]
    assert scores.predicted_logit(LOGITS).tolist() == [2.0, 3.0]
    assert torch.allclose(scores.task_loss(LOGITS, TARGET).mean(), cross_entropy(LOGITS, TARGET))


def test_a_single_logit_is_read_as_two_classes():
    z = torch.tensor([0.7, -2.0])
    sigmoid = z.sigmoid()
    expected = sigmoid.log() + (1 - sigmoid).log()
    assert torch.allclose(scores.evaluate(scores.log_prob_sum, z, None), expected)
    assert torch.allclose(scores.evaluate(scores.log_prob_sum, z.unsqueeze(1), None), expected)
    target = torch.tensor([1.0, 0.0])
    loss = torch.nn.functional.binary_cross_entropy_with_logits(z, target, reduction="none")
    assert torch.allclose(scores.evaluate(scores.task_loss, z, target), loss)


def test_half_precision_logits_are_scored_in_single_precision():
    assert scores.evaluate(scores.log_prob_sum, LOGITS.bfloat16(), None).dtype == torch.float32


def test_any_callable_is_a_score():
    contrast = lambda logits, target: logits[:, 0] - logits[:, 1]  # noqa: E731
    assert scores.evaluate(scores.resolve(contrast), LOGITS, None).tolist() == [-1.0, 0.0]


def test_a_misspelt_score_gets_a_suggestion():
    with pytest.raises(ValueError, match="did you mean 'target_logit'"):
        scores.resolve("target_logits")


@pytest.mark.parametrize("name", ["target_logit", "task_loss"])
def test_a_score_that_needs_a_target_says_so(name):
    with pytest.raises(ValueError, match=f"{name!r} needs a target"):
        scores.evaluate(scores.resolve(name), LOGITS, None)


def test_a_score_that_is_no_number_per_sample_is_refused():
    with pytest.raises(ValueError, match="one number per sample"):
        scores.evaluate(lambda logits, target: logits.sum(), LOGITS, None)


def test_dense_logits_are_refused():
    with pytest.raises(ValueError, match=r"logits are \(B, classes\)"):
        scores.evaluate(scores.log_prob_sum, torch.zeros(2, 3, 4, 4), None)


def test_several_labels_are_scored_by_their_sigmoids():
    labels = torch.tensor([[1, 0, 1], [0, 0, 0]])
    p = LOGITS.sigmoid()
    assert torch.allclose(scores.log_prob_sum(LOGITS, labels), (p.log() + (1 - p).log()).sum(1))
    assert scores.target_logit(LOGITS, labels).tolist() == [0.0, 0.0]
    expected = -torch.where(labels > 0, p.log(), (1 - p).log()).sum(1)
    assert torch.allclose(scores.evaluate(scores.task_loss, LOGITS, labels), expected)


@pytest.mark.parametrize("name", list(scores.NAMED))
def test_dense_logits_are_scored_place_by_place(name):
    logits, target = torch.randn(2, 3, 4, 5), torch.randint(3, (2, 4, 5))
    places = torch.stack([
        torch.stack([
            scores.NAMED[name](logits[b : b + 1, :, i, j], target[b, i, j].view(1))[0] for i in range(4) for j in range(5)
        ])
        for b in range(2)
    ])  # fmt: skip
    assert torch.allclose(scores.evaluate(scores.Dense(name), logits, target), places.mean(1), atol=1e-6)
    assert torch.allclose(scores.evaluate(scores.Dense(name, "max"), logits, target), places.amax(1), atol=1e-6)


def test_one_class_per_sample_is_meant_at_every_place():
    logits = torch.randn(2, 3, 4)
    expected = torch.stack([logits[0, 2].mean(), logits[1, 0].mean()])
    assert torch.allclose(scores.evaluate(scores.Dense("target_logit"), logits, torch.tensor([2, 0])), expected)
    with pytest.raises(ValueError, match="reduction must be mean, sum or max"):
        scores.Dense(reduction="median")


def test_one_dense_logit_is_read_as_two_classes():
    z, target = torch.randn(2, 1, 3, 4), torch.randint(2, (2, 1, 3, 4)).float()
    loss = torch.nn.functional.binary_cross_entropy_with_logits(z, target, reduction="none").mean((1, 2, 3))
    assert torch.allclose(scores.evaluate(scores.Dense("task_loss"), z, target), loss, atol=1e-6)


def test_classes_may_come_last():
    logits, target = torch.randn(2, 5, 3), torch.randint(3, (2, 5))
    expected = scores.evaluate(scores.Dense("target_logit"), logits.transpose(1, 2), target)
    assert torch.equal(scores.evaluate(scores.Dense("target_logit", axis=-1), logits, target), expected)
    with pytest.raises(ValueError, match=r"If the classes come last, use axis=-1"):
        scores.Dense("target_logit")(logits, target)
    with pytest.raises(ValueError, match="axis 0 holds the samples"):
        scores.Dense(axis=0)


def test_the_error_about_dense_logits_names_a_remedy_that_works():
    logits, target = torch.randn(2, 5, 3), torch.randint(3, (2, 5))
    with pytest.raises(ValueError, match="Dense") as error:
        scores.evaluate(scores.log_prob_sum, logits, target)
    (remedy,) = re.findall(r"score=(Dense\([^)]*axis=-1\))", str(error.value))
    assert scores.evaluate(eval(remedy, vars(scores)), logits, target).shape == (2,)


@pytest.mark.parametrize("reduction", ["mean", "sum", "max"])
def test_places_that_have_no_label_do_not_count(reduction):
    logits, target = torch.randn(3, 4, 5), torch.tensor([[1, 0, -100, 3, -100], [-100] * 4 + [2], [-100] * 5])
    known = [[logits[row, label, place] for place, label in enumerate(target[row]) if label >= 0] for row in range(2)]
    reduced = {"mean": torch.mean, "sum": torch.sum, "max": torch.amax}[reduction]
    expected = torch.stack([reduced(torch.stack(one), 0) for one in known] + [torch.tensor(0.0)])
    assert torch.allclose(scores.Dense("target_logit", reduction)(logits, target), expected)


@pytest.mark.parametrize(("places", "counted"), [("all", [1, 3, 4]), ("first", [1]), ([0, 2], [1, 4])])
def test_a_sequence_is_the_mean_of_its_labelled_tokens(places, counted):
    logits, labels = torch.randn(1, 5, 7), torch.tensor([[-100, 4, -100, 0, 6]])
    expected = torch.stack([logits[0, place].log_softmax(0)[labels[0, place]] for place in counted]).mean()
    assert torch.allclose(scores.Sequence(places)(logits, labels), expected)
    with pytest.raises(ValueError, match="needs the label of each place"):
        scores.Sequence(places)(logits)
    with pytest.raises(ValueError, match="places must be all or first"):
        scores.Sequence("last")


def test_a_span_is_its_start_and_its_end_and_one_target_is_not_stretched_over_both():
    logits, target = torch.randn(2, 6, 2), torch.tensor([[1, 3], [0, 5]])
    log_p = logits.log_softmax(1)
    expected = torch.stack([log_p[0, 1, 0] + log_p[0, 3, 1], log_p[1, 0, 0] + log_p[1, 5, 1]])
    assert torch.allclose(scores.evaluate(scores.target_log_prob, logits, target, "span"), expected)
    assert torch.allclose(scores.evaluate(scores.log_prob_sum, logits, target, "span"), log_p.sum((1, 2)), atol=1e-6)
    for score in (scores.target_log_prob, scores.Dense("target_logit")):
        with pytest.raises(ValueError, match="does not fit"):
            scores.evaluate(score, logits, target[:, 0], "span")


def test_a_callable_sees_places_only_if_it_asks_for_them():
    seen = []

    def score(logits, target):
        seen.append(tuple(logits.shape))
        return logits.flatten(1).sum(1)

    logits, target = torch.randn(2, 3, 4), torch.tensor([[0, 1, -100, -100], [2, 2, 2, -100]])
    assert scores.evaluate(score, logits, target, "tokens").shape == (2,)
    score.dense = True
    assert scores.evaluate(score, logits, target, "tokens").shape == (2,)
    assert seen == [(5, 3), (2, 3, 4)]


@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 3)])
def test_logits_of_a_sigmoid_are_labels_each_and_a_single_one_is_two_classes(shape):
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sure = logits.view(5, -1).sigmoid()
    expected = (sure.log() + (1 - sure).log()).sum(1)
    assert torch.allclose(scores.evaluate(scores.log_prob_sum, logits, None, "sigmoid"), expected)
    if shape != (5, 3):
        assert torch.allclose(scores.evaluate(scores.log_prob_sum, logits, None), expected)
    with pytest.raises(ValueError, match="logits are"):
        scores.evaluate(scores.log_prob_sum, logits.view(1, 5, -1, 1), None, "sigmoid")
