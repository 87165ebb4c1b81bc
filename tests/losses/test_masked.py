import torch

from salreg.losses import CosineLoss, MaskedL1, RightForRightReasons


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


def test_a_normalised_map_has_no_scale():
    loss, maps, marks = RightForRightReasons("min_max"), torch.rand(3, 1, 4, 4), -torch.ones(3, 1, 4, 4)
    assert torch.allclose(loss(maps, marks), loss(7 * maps + 2, marks))
    flat = maps.flatten(1)
    scaled = (flat - flat.amin(1, keepdim=True)) / (flat.amax(1) - flat.amin(1)).view(-1, 1)
    assert torch.allclose(loss(maps, marks), scaled.square().sum(1).mean())


def test_a_flat_map_is_undefined_when_normalised():
    losses = RightForRightReasons("min_max").per_sample(torch.ones(2, 4), -torch.ones(2, 4))
    assert losses.undefined.all()


def test_l1_outside_the_relevant_marks_or_on_the_spurious_ones():
    maps, marks = torch.tensor([[3.0, -5.0, 2.0]] * 3), torch.tensor([[1.0, 0, 0], [0, -1.0, 0], [1.0, -1.0, 0]])
    assert MaskedL1().per_sample(maps, marks).value.tolist() == [7, 5, 7]


def test_cosine_with_the_mask_is_torchs_in_a_loop():
    maps, marks = torch.randn(3, 2, 4, 4), torch.zeros(3, 1, 4, 4)
    marks[:, :, :2, :2] = -1
    expected = [
        torch.cosine_similarity(m.sum(0).abs().flatten(), a.abs().flatten(), dim=0) for m, a in zip(maps, marks, strict=True)
    ]
    assert torch.allclose(CosineLoss()(maps, marks), torch.stack(expected).mean())
    assert torch.allclose(CosineLoss()(maps, marks), CosineLoss()(1000 * maps, marks))


def test_a_map_of_zeros_has_no_angle():
    losses = CosineLoss().per_sample(torch.zeros(1, 3), torch.tensor([[-1.0, 0, 0]]))
    assert losses.undefined.tolist() == [True]
