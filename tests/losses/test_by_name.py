import pytest

from salreg import losses


def test_losses_by_name():
    assert isinstance(losses.resolve("rrr"), losses.RightForRightReasons)
    assert isinstance(losses.resolve("energy"), losses.EnergyLoss)
    with pytest.raises(ValueError, match="did you mean 'energy'"):
        losses.resolve("energie")
