import torch

from salreg.losses import RightForRightReasons


def test_sum_of_squares_over_the_spurious_marks():
    saliency = torch.tensor([[1.0, -2.0, 3.0], [4.0, 5.0, 6.0]])
    annotation = torch.tensor([[-1.0, -1.0, 1.0], [0.0, -0.5, 0.0]])
    losses = RightForRightReasons().per_sample(saliency, annotation)
    assert losses.value.tolist() == [1.0 + 4.0, 2.5**2]
    assert RightForRightReasons()(saliency, annotation).item() == (5.0 + 6.25) / 2


def test_the_mean_runs_over_samples_with_spurious_marks_only():
    saliency = torch.ones(3, 2)
    annotation = torch.tensor([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    assert RightForRightReasons()(saliency, annotation).item() == 1.0


def test_channels_share_one_annotation():
    saliency = torch.full((1, 3, 2, 2), 2.0)
    annotation = torch.tensor([[[[-1.0, 0.0], [0.0, 0.0]]]])
    assert RightForRightReasons()(saliency, annotation).item() == 3 * 4.0


def test_nothing_marked_gives_zero():
    assert RightForRightReasons()(torch.ones(2, 2), torch.zeros(2, 2)).item() == 0.0
