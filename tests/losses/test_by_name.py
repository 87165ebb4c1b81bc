import pytest
import torch

from salreg import losses
from salreg.annotations import NO_PLACE


def test_losses_by_name():
    assert isinstance(losses.resolve("rrr"), losses.RightForRightReasons)
    assert isinstance(losses.resolve("energy"), losses.EnergyLoss)
    with pytest.raises(ValueError, match="did you mean 'energy'"):
        losses.resolve("energie")


@pytest.mark.parametrize("name", sorted(set(losses.NAMED) - {"gini", "total_variation"}))
def test_places_that_are_none_do_not_count(name):
    """A padded text costs what the text costs. (The two priors apply to whole maps, whatever is marked.)"""
    generator = torch.Generator().manual_seed(0)
    saliency = torch.randn(3, 6, generator=generator)
    annotation = torch.tensor([[1.0, -1, 0, 1, 0, 0], [-1, -1, 1, 0, 0, 0], [0, 0, 1, 0, 0, -1]])
    padded = torch.cat([annotation, torch.full((3, 2), float(NO_PLACE))], 1)
    padded_map = torch.cat([saliency, torch.zeros(3, 2)], 1)
    loss = losses.resolve(name)
    if getattr(loss, "normalize", "none") == "min_max" or name == "res":
        padded_map[:, 6:] = saliency.amin(1, keepdim=True)  # whose zero would else be the new minimum
    assert torch.allclose(loss(padded_map, padded), loss(saliency, annotation), rtol=1e-5)
