import torch

from salreg.losses import EnergyLoss


def energy(saliency, annotation):
    return EnergyLoss().per_sample(torch.tensor(saliency), torch.tensor(annotation))


def test_share_outside_the_relevant_marks():
    assert energy([[3.0, 1.0, -5.0]], [[1.0, 0.0, 0.0]]).value.tolist() == [0.25]


def test_share_on_the_spurious_marks_where_nothing_is_relevant():
    assert energy([[3.0, 1.0, -5.0]], [[-1.0, 0.0, 0.0]]).value.tolist() == [0.75]


def test_spurious_marks_lie_outside_the_relevant_ones():
    assert energy([[2.0, 1.0, 1.0]], [[1.0, -1.0, 0.0]]).value.tolist() == [0.5]


def test_channels_are_added_before_the_positive_part():
    saliency = torch.tensor([[[[1.0, 4.0]], [[1.0, -3.0]]]])  # sums to [2, 1]
    annotation = torch.tensor([[[[-1.0, 0.0]]]])
    assert torch.allclose(EnergyLoss()(saliency, annotation), torch.tensor(2 / 3))


def test_a_map_without_positive_saliency_is_reported_and_not_scored():
    losses = energy([[0.0, -1.0], [3.0, 1.0], [0.0, 0.0]], [[-1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
    assert losses.undefined.tolist() == [True, False, False]
    assert losses.scored.tolist() == [False, True, False]
    assert EnergyLoss()(torch.tensor([[0.0, -1.0], [3.0, 1.0]]), torch.tensor([[-1.0, 0.0]] * 2)).item() == 0.75


def test_an_undefined_map_leaves_finite_gradients():
    saliency = torch.tensor([[0.0, 0.0], [3.0, 1.0]], requires_grad=True)
    EnergyLoss()(saliency, torch.tensor([[-1.0, 0.0]] * 2)).backward()
    assert saliency.grad.isfinite().all()
    assert saliency.grad[1].abs().sum() > 0


def test_the_loss_does_not_depend_on_the_scale_of_the_map():
    saliency, annotation = torch.rand(3, 5), torch.tensor([[1.0, 0, 0, -1, 0]] * 3)
    assert torch.allclose(EnergyLoss()(saliency, annotation), EnergyLoss()(1e4 * saliency, annotation))
