"""A penalty that counts for nothing beside the loss is said, with a remedy that works."""

import warnings

import torch
from support import fit, fresh, loader, regularizer
from texts import LitText, annotated_texts


class Faint(LitText):
    """Its logits hardly depend on its text, as those of a fresh BERT."""

    def __init__(self, *args):
        super().__init__(*args)
        with torch.no_grad():
            self.net.head.weight.mul_(1e-6)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1e-4)


def said(**options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(fresh(Faint), regularizer(**options), data=loader(annotated_texts()))
    return [str(one.message) for one in caught if "of the loss in the first" in str(one.message)]


def test_a_negligible_penalty_is_said_once_and_the_remedy_is_heard():
    (warning,) = said(weight=1.0)
    assert "has no effect" in warning
    assert "loss='energy'" in warning
    assert not said(weight=1.0, loss="energy")
    assert not said(weight=1e12)


def test_nothing_is_said_where_nothing_is_penalised():
    assert not said(weight=0.0)
