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
