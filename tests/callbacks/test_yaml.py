"""The callbacks in a ``LightningCLI`` config."""

import pytest
import torch
from pytorch_lightning.cli import LightningCLI
from support import Lit
from two_processes import Interleaved

from salreg.attributions import GradCAM
from salreg.callbacks import SaliencyMetrics, SaliencyRegularizer, SaliencySnapshots
from salreg.losses import EnergyLoss

CONFIG = """
trainer:
  max_epochs: 1
  accelerator: cpu
  logger: false
  enable_progress_bar: false
  callbacks:
    - class_path: salreg.callbacks.SaliencyRegularizer
      init_args:
        attribution:
          class_path: salreg.attributions.GradCAM
          init_args: {layer: net.2, score: predicted_logit}
        loss:
          class_path: salreg.losses.EnergyLoss
        weight: 2.0
        every_n_steps: 2
    - class_path: salreg.callbacks.SaliencyRegularizer
      init_args: {attribution: input_gradient, loss: {name: rrr, normalize: max}, name: second}
    - class_path: salreg.callbacks.SaliencySnapshots
      init_args: {panel: 2, attributions: [input_gradient]}
    - class_path: salreg.callbacks.SaliencyMetrics
      init_args: {attribution: {name: input_gradient, score: predicted_logit}, max_batches: 1}
"""


class Demo(Lit):
    def __init__(self, lr: float = 0.1) -> None:
        super().__init__(None, lr)


def test_all_three_callbacks_from_yaml(tmp_path):
    torch.manual_seed(0)
    (tmp_path / "config.yaml").write_text(CONFIG)
    arguments = ["fit", "--config", str(tmp_path / "config.yaml")]
    cli = LightningCLI(Demo, Interleaved, args=arguments, save_config_callback=None, seed_everything_default=0)
    used = {type(callback) for callback in cli.trainer.callbacks}
    assert {SaliencyRegularizer, SaliencySnapshots, SaliencyMetrics} <= used
    first = next(callback for callback in cli.trainer.callbacks if isinstance(callback, SaliencyRegularizer))
    assert isinstance(first.penalty.attribution, GradCAM)
    assert isinstance(first.penalty.loss, EnergyLoss)
    assert (first.weight, first.every_n_steps) == (2.0, 2)
    assert {"salreg/penalty", "second/penalty", "val/spurious_saliency"} <= set(cli.trainer.callback_metrics)
    assert list(tmp_path.rglob("film_strip.png"))


def test_a_misspelt_name_in_yaml_is_named(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(CONFIG.replace("name: rrr", "name: rr"))
    with pytest.raises((SystemExit, ValueError)) as error:
        LightningCLI(Demo, Interleaved, args=["fit", "--config", str(tmp_path / "config.yaml")], save_config_callback=None)
    assert "did you mean 'rrr'" in capsys.readouterr().err + str(error.value)


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("energy", "EnergyLoss of InputTimesGradient"),
        ("{name: gradmask}", "MaskedL1 of InputGradient"),
        ("{name: rr_clarc, layer: net.0}", "ConceptPenalty"),
        (
            "{class_path: salreg.penalties.ConsistencyPenalty, init_args: {perturbation: pgd, steps: 2}}",
            "ConsistencyPenalty under pgd",
        ),
    ],
)
def test_presets_from_yaml(tmp_path, preset, expected):
    (tmp_path / "config.yaml").write_text(f"""
trainer:
  max_epochs: 1
  accelerator: cpu
  logger: false
  enable_progress_bar: false
  callbacks:
    - class_path: salreg.callbacks.SaliencyRegularizer
      init_args:
        preset: {preset}
""")
    arguments = ["fit", "--config", str(tmp_path / "config.yaml")]
    cli = LightningCLI(Demo, Interleaved, args=arguments, save_config_callback=None, seed_everything_default=0)
    (used,) = (callback for callback in cli.trainer.callbacks if isinstance(callback, SaliencyRegularizer))
    assert str(used.penalty) == expected
    assert cli.trainer.callback_metrics["salreg/penalty"] > 0
