"""Lightning callbacks: regularise, watch and measure saliency of an unmodified LightningModule; and a local logger."""

from salreg.callbacks.metrics import SaliencyMetrics
from salreg.callbacks.regularizer import SaliencyRegularizer
from salreg.callbacks.snapshots import SaliencySnapshots
from salreg.callbacks.trackio_logger import TrackioLogger

__all__ = ["SaliencyMetrics", "SaliencyRegularizer", "SaliencySnapshots", "TrackioLogger"]
