"""What Weights & Biases is sent, read back from the files of offline runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_lightning.loggers import WandbLogger
from support import fit, fresh, history_of_words, loader, regularizer

from salreg.annotations import SPURIOUS
from salreg.callbacks import SaliencyMetrics, SaliencySnapshots
from salreg.callbacks.painter import paint
from salreg.callbacks.sinks.wandb_runs import WandbRuns
from salreg.callbacks.snapshot import Snapshot
from salreg.history import Frame, History

EPOCHS, PANEL = 3, 4


@pytest.fixture(autouse=True)
def without_an_account(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "wandb-data"))


def offline(folder: Path) -> WandbLogger:
    return WandbLogger(save_dir=folder, offline=True, project="salreg-test")


def records(folder: Path, kind: str) -> list[dict]:
    """The records of a kind in a run's ``.wandb`` file."""
    (log,) = folder.rglob("*.wandb")
    lines = subprocess.run(
        [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(log)], capture_output=True, text=True, check=True
    )
    read = [json.loads(line) for line in lines.stdout.splitlines() if line.strip()]
    return [record[kind] for record in read if record["type"] == kind]


def media(folder: Path, key: str) -> list[Path]:
    return sorted(folder.rglob(f"files/media/images/salreg/input_gradient/{key}_*"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished training of three epochs with a panel of four."""
    folder = tmp_path_factory.mktemp("run")
    logger = offline(folder)
    snapshots = SaliencySnapshots(panel=PANEL, alerts={"spurious_saliency": 1e-6}, sanity=False, dir=folder)
    with pytest.warns(UserWarning, match="rose to"):
        fit(fresh(), regularizer(), SaliencyMetrics(), snapshots, val=loader(), logger=logger, epochs=EPOCHS)
    logger.experiment.finish()
    return folder


def test_a_snapshot_is_one_step_with_every_key(run):
    steps = [record["item"] for record in records(run, "history")]
    snapshots = [item for item in steps if "panel/reliance" in item]
    assert [item["epoch"] for item in snapshots] == [0, 1, 2, 3]
    for item in snapshots:
        wanted = [f"sample_{index:02d}.path" for index in range(PANEL)]
        wanted += ["film_strip.path", "panel.nrows", "spurious_saliency.bins"]
        assert {f"salreg/input_gradient/{key}" for key in wanted} <= set(item)
    for axis in ("_step", "trainer/global_step"):
        assert [item[axis] for item in steps] == sorted(item[axis] for item in steps)


def test_a_picture_per_sample_and_epoch_with_the_marks_as_a_mask(run):
    for index in range(PANEL):
        assert len(media(run, f"sample_{index:02d}")) == EPOCHS + 1
    assert len(media(run, "film_strip")) == EPOCHS + 1
    masks = [np.asarray(Image.open(path)) for path in run.rglob("files/media/images/mask/**/*.png")]
    assert len(masks) == PANEL * (EPOCHS + 1)
    side = Image.open(media(run, "sample_00")[0]).width
    corner = np.zeros((side, side))
    corner[: side * 3 // 8, : side * 3 // 8] = 1
    assert all((mask == corner).all() for mask in masks)


def test_the_heat_map_is_hot_where_the_saliency_is(tmp_path):
    payload = send(tmp_path, history(epochs=1, side=8, samples=1, saliency=corner_map()))
    (path,) = media(tmp_path, "sample_00")
    pixels = np.asarray(Image.open(path)).astype(int).sum(-1)
    half = len(pixels) // 2
    assert pixels[:half, :half].mean() > 3 * pixels[half:, half:].mean()
    assert set(payload) >= {"salreg/input_gradient/panel", "epoch"}


def test_the_table_has_a_row_per_sample_and_epoch(run):
    tables = [json.loads(path.read_text()) for path in run.rglob("files/media/table/**/panel_*.json")]
    assert tables[0]["columns"] == ["epoch", "sample", "label", "prediction", "spurious saliency", "image", "map"]
    rows = [tuple(row[:2]) for table in tables for row in table["data"]]
    assert sorted(rows) == [(epoch, index) for epoch in range(EPOCHS + 1) for index in range(PANEL)]
    assert all(0 <= row[4] <= 1 for table in tables for row in table["data"])


def test_numbers_have_epochs_and_steps_for_axes(run):
    axes = {record.get("glob_name", record.get("name")): record.get("step_metric") for record in records(run, "metric")}
    assert axes["panel/*"] == "epoch"
    assert axes["salreg/*"] == "trainer/global_step"


def test_an_alert_per_crossing(run):
    said = [record["text"] for record in records(run, "alert")]
    assert len(said) == len({text.split()[0] for text in said})
    assert any(text.startswith("panel/input_gradient/spurious_saliency rose to") for text in said)


@pytest.mark.parametrize("kind", ["photographs", "noise"])
def test_a_hundred_snapshots_of_sixteen_samples_stay_below_30_mb(tmp_path, kind):
    """Measured over the last three of a hundred, when film strips have all their columns."""
    seen = history(epochs=97, side=64, samples=16, smooth=kind == "photographs")
    first = size_of(tmp_path)
    send(tmp_path, seen, again=3)
    grown = size_of(tmp_path) - first
    assert grown / 3 * 100 < 30e6


def send(folder: Path, seen: History, again: int = 0) -> dict:
    """Log a history's last snapshot, and ``again`` further ones."""
    logger = offline(folder)
    sender = WandbRuns(logger)
    frames = seen.frames["input_gradient"]
    for epoch in range(len(frames), len(frames) + max(again, 1)):
        frame = Frame(epoch, [one.roll(epoch, -1) if again else one for one in frames[-1].saliency], *last(frames))
        seen.add("input_gradient", frame)
        numbers = {f"panel/{index}": 0.5 for index in range(30)}
        painted = paint(Snapshot(epoch, epoch, {"input_gradient": frame}, numbers), seen)
        payload = sender.payload(painted)
        logger.log_metrics(payload, epoch)
    logger.experiment.finish()
    return payload


def last(frames: list[Frame]) -> tuple[list[str], list[float]]:
    return frames[-1].predictions, frames[-1].shares


def history(epochs: int, side: int, samples: int, saliency: torch.Tensor | None = None, smooth: bool = False) -> History:
    def noise(channels: int) -> torch.Tensor:
        coarse = torch.rand(1, channels, 8 if smooth else side, 8 if smooth else side)
        return torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic")[0].clamp(0, 1)

    made = History([noise(3) for _ in range(samples)], [torch.zeros(1, side, side)] * samples, ["cat"] * samples)
    for mark in made.annotations:
        mark[:, :4, :4] = SPURIOUS
    for epoch in range(epochs):
        maps = [noise(1)[0] if saliency is None else saliency for _ in range(samples)]
        made.add("input_gradient", Frame(epoch, maps, ["cat"] * samples, [0.3] * samples))
    return made


def corner_map() -> torch.Tensor:
    saliency = torch.zeros(8, 8)
    saliency[:4, :4] = 1
    return saliency


def size_of(folder: Path) -> int:
    """What W&B keeps and would upload; its debug log stays behind."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.suffix != ".log")


def in_a_process_of_its_own(script: str, folder: Path) -> subprocess.CompletedProcess:
    path = folder / "train.py"
    path.write_text(script)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    return subprocess.run(
        [sys.executable, path], cwd=folder, env=environment, check=True, timeout=90, stdin=subprocess.DEVNULL,
        capture_output=True, text=True,
    )  # fmt: skip


TWO_PROCESSES = """
from pathlib import Path
import pytorch_lightning as pl
from pytorch_lightning.loggers import WandbLogger
from support import fresh, trainer
from two_processes import Gloo, Interleaved
from salreg.callbacks import SaliencySnapshots

class Finish(pl.Callback):
    def teardown(self, trainer, pl_module, stage):
        if trainer.is_global_zero:
            trainer.logger.experiment.finish()  # in the process that began the run

if __name__ == "__main__":
    logger = WandbLogger(save_dir=Path(), offline=True, project="salreg-test")
    options = {"devices": 2, "strategy": Gloo(), "use_distributed_sampler": False}
    used = trainer(SaliencySnapshots(panel=2, sanity=False), Finish(), logger=logger, epochs=1, **options)
    used.fit(fresh(), datamodule=Interleaved())
"""


def test_two_processes_log_once(tmp_path):
    """Apart from this process, whose W&B service they would share (``WANDB_SERVICE``) and leave in disorder."""
    in_a_process_of_its_own(TWO_PROCESSES, tmp_path)
    assert len(media(tmp_path, "sample_00")) == 2
    assert len(media(tmp_path, "film_strip")) == 2
    assert len([record for record in records(tmp_path, "history") if "panel/reliance" in record["item"]]) == 2


KILLED_SERVICE = """
import os, signal
from pathlib import Path
import pytorch_lightning as pl
from pytorch_lightning.loggers import WandbLogger
from support import Lit, fit, fresh, loader, plain_loader, same
from salreg.callbacks import SaliencySnapshots

class Silent(Lit):
    def validation_step(self, batch, batch_idx):
        self(batch[0])  # whatever Lightning itself logs is lost with the service

def is_service(folder):
    try:
        parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
        return parent == os.getpid() and b"wandb-core" in (folder / "cmdline").read_bytes()
    except OSError:
        return False

class Kill(pl.Callback):
    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            (service,) = (int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit() and is_service(one))
            os.kill(service, signal.SIGKILL)

logger = WandbLogger(save_dir=Path(), offline=True, project="salreg-test")
logger.experiment
module, plain = fresh(Silent), fresh(Silent)
fit(module, SaliencySnapshots(panel=2, sanity=False), Kill(), data=loader(), val=loader(), logger=logger, epochs=3)
fit(plain, data=plain_loader(), epochs=3)
print("the same" if same(module, plain) else "another", flush=True)
os._exit(0)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the service as Linux shows it")
def test_a_service_that_is_killed_costs_a_warning_with_the_loggers_name(tmp_path):
    done = in_a_process_of_its_own(KILLED_SERVICE, tmp_path)
    assert "WandbLogger did not accept the saliency snapshot" in done.stderr
    assert done.stdout.strip().endswith("the same")
    assert len(list(tmp_path.rglob("snapshots/input_gradient/film_strip.png"))) == 1


def test_texts_are_sent_as_words(tmp_path):
    seen = history_of_words()
    painted = paint(Snapshot(0, frames={"input_gradient": seen.frames["input_gradient"][0]}), seen)
    logger = offline(tmp_path)
    WandbRuns(logger).write(painted)
    logger.experiment.finish()
    (page,) = tmp_path.rglob("files/media/html/salreg/input_gradient/sample_00_words_*.html")
    assert ">video<" in page.read_text("utf-8")
    assert len(media(tmp_path, "sample_0")) == 0
    assert len(media(tmp_path, "sample_00")) == 1
