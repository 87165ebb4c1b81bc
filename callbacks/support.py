"""What a penalty does not support, or supports at a cost: strategies, sharded and compiled modules, images that move."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities.rank_zero import rank_zero_warn

from salreg.callbacks.panel import training_sets
from salreg.data import AnnotatedDataset
from salreg.data.moving_transforms import REMEDY, moved_when_read_again
from salreg.differentiation import is_compiled, sharded_parts
from salreg.penalties.method import Method
from salreg.random_state import random_state_kept

_READ_AGAIN = 4  # images
_UNSUPPORTED = ("FSDPStrategy", "DeepSpeedStrategy")


def check_strategy(strategy: Any) -> None:
    """Raise a ``RuntimeError`` for strategies under which a saliency map has no second derivative."""
    if type(strategy).__name__ in _UNSUPPORTED:
        raise RuntimeError(
            f"SaliencyRegularizer does not support {type(strategy).__name__}: sharded parameters are gone when the saliency is "
            "differentiated a second time. Use ModelParallelStrategy (FSDP2), DDP or one device."
        )


def check_sharding(module: pl.LightningModule, method: Method) -> None:
    """Raise a ``RuntimeError`` if FSDP2 shards a module whose penalty runs it outside its own forward pass."""
    if sharded_parts(module) and (not method.exact or method.compiled is not None):
        raise RuntimeError(
            "With parameters sharded by FSDP2, neither finite differences nor compile=True work, because both run the network "
            "outside its own forward and backward pass. Use differentiation='exact'."
        )


def warn_of_moved_samples(trainer: pl.Trainer) -> None:
    """Warn of training images whose pixels lie elsewhere each time that they are read, while their marks do not."""
    dataset = next((one for one in training_sets(trainer) if isinstance(one, AnnotatedDataset)), None)
    if dataset is None:
        return
    indices = range(0, len(dataset), max(1, len(dataset) // _READ_AGAIN))[:_READ_AGAIN]
    with random_state_kept():
        try:
            moves = moved_when_read_again(dataset.base, indices)
        except Exception:  # which the training's own loader will raise
            return
    if moves:
        rank_zero_warn(f"The base of the training set flips or turns an image each time that it is read, {REMEDY}")


def warn_of_compiled(module: pl.LightningModule, method: Method) -> None:
    """Say what a compiled module loses in penalised steps."""
    by_salreg = method.compiled is not None
    if is_compiled(module) and ((method.exact and not by_salreg) or module._compiler_ctx is not None):
        rank_zero_warn(
            "Compiled modules have no second derivative, so penalised steps run them uncompiled (or only their annotated "
            "samples, if these are at most half); all other steps stay compiled. every_n_steps > 1 keeps more of the speed; "
            "differentiation='finite_difference' keeps all of it if the network is smooth; and compile=True also compiles "
            "penalised steps, if the network rather than the LightningModule is compiled."
        )
