import copy

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from support import Lit, conv_net, fit, fresh, images, loader, noisy_net, plain_loader, trainer
from torch import nn
from torch.optim.swa_utils import get_ema_avg_fn
from torch.utils.data import TensorDataset

from salreg import AnnotatedDataset
from salreg.attributions import GradCAM, InputGradient
from salreg.callbacks import SaliencyMetrics
from salreg.metrics.functional import relevant_saliency, spurious_saliency


def expected(module, attribution=None):
    x, y, annotations = images()
    marked = annotations.flatten(1).any(1)
    saliency = (attribution or InputGradient())(module.eval(), x, y)
    return spurious_saliency(saliency, annotations)[marked].mean().item()


def test_metrics_of_an_epoch_are_those_of_the_whole_set():
    module = fresh(Lit, noisy_net())
    used = fit(module, SaliencyMetrics(chunk_size=3), val=loader(batch_size=7), epochs=1)
    assert used.callback_metrics["val/spurious_saliency"].item() == pytest.approx(expected(module), rel=1e-5)
    assert 0 <= used.callback_metrics["val/reliance"] <= 1
    assert "val/relevant_saliency" not in used.callback_metrics  # nothing is marked relevant


@pytest.mark.parametrize("inference_mode", [True, False])
def test_under_inference_mode(inference_mode):
    module = fresh()
    used = trainer(SaliencyMetrics(), inference_mode=inference_mode)
    validated = used.validate(module, loader(), verbose=False)[0]
    tested = used.test(module, loader(), verbose=False)[0]
    for stage, values in (("val", validated), ("test", tested)):
        assert values[f"{stage}/spurious_saliency"] == pytest.approx(expected(module), rel=1e-5)


def test_a_step_without_gradients_of_its_own_is_named():
    class Decorated(Lit):
        validation_step = torch.no_grad()(Lit.validation_step)

    with pytest.warns(UserWarning, match=r"measures nothing: .*torch.no_grad\(\).* Remove it"):
        fit(fresh(Decorated), SaliencyMetrics(), val=loader(), epochs=1)


def test_what_an_epoch_does_not_measure_is_not_left_from_the_one_before():
    class NamesNoLossLater(Lit):
        def validation_step(self, batch, batch_idx):
            if self.current_epoch == 1:
                raise_in_replays()
            return super().validation_step(batch, batch_idx)

    def raise_in_replays():
        if torch.is_grad_enabled():
            raise RuntimeError("a module that cannot be replayed any more")

    seen = []

    class Seen(pl.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            seen.append({key for key in trainer.callback_metrics if key.startswith("val/")})

    with pytest.warns(UserWarning, match="measures nothing: a module that cannot be replayed"):
        used = fit(fresh(NamesNoLossLater), SaliencyMetrics(), Seen(), val=loader(), epochs=2)
    assert {"val/spurious_saliency", "val/reliance"} <= seen[0]
    assert not {"val/spurious_saliency", "val/reliance"} & seen[1]
    assert not {"val/spurious_saliency", "val/reliance"} & set(used.callback_metrics)


def test_layer_attributions_are_measured_on_the_annotations_grid():
    module, attribution = fresh(), GradCAM("net.2")
    used = fit(module, SaliencyMetrics(attribution), val=loader(), epochs=1)
    x, y, annotations = images()
    saliency = attribution(module, x, y, upsample_to=(8, 8))
    share = spurious_saliency(saliency, annotations)[annotations.flatten(1).any(1)]
    assert used.callback_metrics["val/spurious_saliency"].item() == pytest.approx(share.nanmean().item(), rel=1e-5)


def test_relevant_marks():
    x, y, annotations = images()
    module = fresh()
    used = trainer(SaliencyMetrics())
    used.validate(module, loader(AnnotatedDataset(TensorDataset(x, y), -annotations)), verbose=False)
    share = relevant_saliency(InputGradient()(module, x), -annotations)[annotations.flatten(1).any(1)]
    assert used.callback_metrics["val/relevant_saliency"].item() == pytest.approx(share.nanmean().item(), rel=1e-5)
    assert "val/reliance" not in used.callback_metrics


def test_maps_without_saliency_are_counted():
    constant = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    nn.init.zeros_(constant[1].weight)
    used = trainer(SaliencyMetrics())
    used.validate(Lit(constant), loader(), verbose=False)
    assert used.callback_metrics["val/undefined_maps"] == 16
    assert used.callback_metrics["val/spurious_saliency"].isnan()


def test_an_average_of_weights_is_what_is_measured():
    """Lightning swaps the averaged weights in for validation, and out again before the epoch's end hooks."""
    seen = {}

    class Averaged(pl.Callback):
        def on_validation_batch_end(self, trainer, pl_module, *_):
            seen["module"] = copy.deepcopy(pl_module)

    module = fresh()
    used = fit(module, WeightAveraging(avg_fn=get_ema_avg_fn(0.9)), Averaged(), SaliencyMetrics(), val=loader(), epochs=1)
    measured = used.callback_metrics["val/spurious_saliency"].item()
    assert measured == pytest.approx(expected(seen["module"]), rel=1e-5)


def test_max_batches():
    class Count(SaliencyMetrics):
        updates = 0

        def _update(self, *args, **kwargs):
            self.updates += 1
            super()._update(*args, **kwargs)

    callback = Count(max_batches=2)
    trainer(callback).validate(fresh(), loader(), verbose=False)
    assert callback.updates == 2


def test_plain_validation_data_is_left_alone():
    used = fit(fresh(), SaliencyMetrics(), val=plain_loader(), epochs=1)
    assert set(used.callback_metrics) == {"val/loss"}


def test_dict_batches_with_keyword_arguments():
    class Keywords(Lit):
        def __init__(self):
            super().__init__(None)
            self.net = Scaled()

        def validation_step(self, batch, batch_idx):
            self.net(x=batch["image"], scale=batch["scale"], times=2)

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = conv_net()

        def forward(self, *, x, scale, times):
            return self.inner(x) * scale.view(-1, 1) * times

    x, y, annotations = images()
    base = [{"image": a, "label": b, "scale": torch.tensor(2.0)} for a, b in zip(x, y, strict=True)]
    module = fresh(Keywords)
    used = trainer(SaliencyMetrics())
    used.validate(module, loader(AnnotatedDataset(base, annotations)), verbose=False)
    inputs = {"x": x, "scale": torch.full((24,), 2.0), "times": 2}
    share = spurious_saliency(InputGradient()(module.net, inputs), annotations)[annotations.flatten(1).any(1)]
    assert used.callback_metrics["val/spurious_saliency"].item() == pytest.approx(share.mean().item(), rel=1e-5)


def test_a_chunk_of_none_is_refused():
    with pytest.raises(ValueError, match="chunk_size must be a whole number of at least 1, not 0"):
        SaliencyMetrics(chunk_size=0)


def test_the_worst_groups_accuracy():
    x, y, annotations = images()
    groups = torch.arange(24) % 2
    used = trainer(SaliencyMetrics(group=2, target=1))

    class Three(Lit):
        def validation_step(self, batch, batch_idx):
            self(batch[0])

    module = fresh(Three)
    used.validate(module, loader(AnnotatedDataset(TensorDataset(x, y, groups), annotations)), verbose=False)
    right = (module(x).argmax(1) == y).float()
    worst = min(right[groups == group].mean().item() for group in (0, 1))
    assert used.callback_metrics["val/worst_group_accuracy"].item() == pytest.approx(worst)


def test_groups_are_read_from_the_batch_as_it_was_before_the_step():
    class Clearing(Lit):
        def validation_step(self, batch, batch_idx):
            x, y, group = batch
            self.log("val/loss", nn.functional.cross_entropy(self(x), y))
            group.zero_()

    x, y, annotations = images()
    group = torch.arange(len(x)) % 2
    data = loader(AnnotatedDataset(TensorDataset(x, y, group), annotations))
    used = trainer(SaliencyMetrics(group=2, groups=2))
    module = fresh(Clearing)
    used.validate(module, data, verbose=False)
    with torch.no_grad():
        right = (module(x).argmax(1) == y).float()
    expected = min(float(right[group == one].mean()) for one in (0, 1))
    assert used.callback_metrics["val/worst_group_accuracy"] == pytest.approx(expected)
