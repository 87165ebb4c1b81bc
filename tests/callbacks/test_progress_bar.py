"""What the progress bar shows of a training."""

import pytest
from pytorch_lightning.callbacks import RichProgressBar, TQDMProgressBar
from pytorch_lightning.callbacks.progress.rich_progress import RichProgressBarTheme
from support import fit, fresh, loader, regularizer

from salreg.callbacks import SaliencyMetrics, SaliencyRegularizer
from salreg.callbacks.progress_bar import show_significant_digits

pytest.importorskip("rich")


class Bar(TQDMProgressBar):
    """Draws nothing, and remembers the numbers of the last step."""

    def __init__(self):
        super().__init__()
        self.disable()

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.shown = self.get_metrics(trainer, pl_module)


def shown(*callbacks):
    bar = Bar()
    fit(fresh(), bar, *callbacks, val=loader(), epochs=2, enable_progress_bar=True, log_every_n_steps=1)
    return {name for name in bar.shown if name.startswith(("salreg", "val"))}


def test_the_bar_shows_penalty_spurious_saliency_and_reliance():
    assert shown(regularizer(), SaliencyMetrics()) == {"salreg/penalty", "salreg/spurious_saliency", "val/reliance"}


def test_a_penalty_that_is_only_watched_is_not_on_the_bar():
    assert shown(SaliencyRegularizer()) == {"salreg/spurious_saliency"}


def test_richs_bar_shows_significant_digits():
    ours, other = RichProgressBar(), RichProgressBar()
    show_significant_digits(ours)
    assert format(0.000412, ours.theme.metrics_format) == "0.000412"
    assert format(0.000412, other.theme.metrics_format) == "0.000"  # other bars are not touched


def test_a_format_that_somebody_chose_stays():
    chosen = RichProgressBar(theme=RichProgressBarTheme(metrics_format=".1e"))
    for bar in (chosen, TQDMProgressBar(), None):
        show_significant_digits(bar)
    assert chosen.theme.metrics_format == ".1e"
