"""Lightning callbacks: regularise, watch and measure saliency of an unmodified LightningModule."""

from salreg.callbacks.metrics import SaliencyMetrics
from salreg.callbacks.regularizer import SaliencyRegularizer
from salreg.callbacks.snapshots import SaliencySnapshots

__all__ = ["SaliencyMetrics", "SaliencyRegularizer", "SaliencySnapshots"]
