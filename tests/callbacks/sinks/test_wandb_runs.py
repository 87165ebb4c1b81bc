"""What Weights & Biases is sent, read back from the files of offline runs."""

import functools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.loggers import WandbLogger
from support import Lit, fit, fresh, history_of_words, loader, plain_loader, regularizer, same, snapshots, trainer
from two_processes import Gloo, Interleaved, in_a_process_of_its_own

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


@functools.cache
def every_record(folder: Path) -> list[dict]:
    """What a finished run's ``.wandb`` file holds."""
    (log,) = folder.rglob("*.wandb")
    lines = subprocess.run(
        [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(log)], capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in lines.stdout.splitlines() if line.strip()]


def records(folder: Path, kind: str) -> list[dict]:
    return [record[kind] for record in every_record(folder) if record["type"] == kind]


def media(folder: Path, key: str) -> list[Path]:
    return sorted(folder.rglob(f"files/media/images/salreg/input_gradient/{key}_*"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished training of three epochs with a panel of four."""
    folder = tmp_path_factory.mktemp("run")
    logger = offline(folder)
    watching = SaliencySnapshots(panel=PANEL, alerts={"spurious_saliency": 1e-6}, sanity=False, dir=folder)
    with pytest.warns(UserWarning, match="rose to"):
        fit(fresh(), regularizer(), SaliencyMetrics(), watching, val=loader(), logger=logger, epochs=EPOCHS)
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
    """Measured at the last of a hundred, when film strips have all their columns, with what each run begins with."""
    seen = history(epochs=99, side=64, samples=16, smooth=kind == "photographs")
    send(tmp_path, seen, other=True)
    assert size_of(tmp_path) * 100 < 30e6


def send(folder: Path, seen: History, other: bool = False) -> dict:
    """Log one more snapshot of a history, whose maps are those of the last or others."""
    logger = offline(folder)
    frames = seen.frames["input_gradient"]
    epoch = len(frames)
    frame = Frame(epoch, [one.roll(epoch, -1) if other else one for one in frames[-1].saliency], *last(frames))
    seen.add("input_gradient", frame)
    painted = paint(Snapshot(epoch, epoch, {"input_gradient": frame}, {f"panel/{index}": 0.5 for index in range(30)}), seen)
    payload = WandbRuns(logger).payload(painted)
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


def without_settings() -> dict[str, str]:
    """The environment, without those of W&B's variables that would share its service and silence it."""
    return {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}


class Finish(pl.Callback):
    def teardown(self, trainer, pl_module, stage):
        if trainer.is_global_zero:
            trainer.logger.experiment.finish()  # in the process that began the run


def train_in_two_processes():
    options = {"devices": 2, "strategy": Gloo("fork"), "use_distributed_sampler": False}
    used = trainer(snapshots(panel=2), Finish(), logger=offline(Path()), epochs=1, **options)
    used.fit(fresh(), datamodule=Interleaved())


def test_two_processes_log_once(tmp_path):
    """Apart from this process, whose W&B service they would share (``WANDB_SERVICE``) and leave in disorder."""
    assert in_a_process_of_its_own(train_in_two_processes, tmp_path, without_settings())[0] == 0
    assert len(media(tmp_path, "sample_00")) == 2
    assert len(media(tmp_path, "film_strip")) == 2
    assert len([record for record in records(tmp_path, "history") if "panel/reliance" in record["item"]]) == 2


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


def kill_the_service():
    logger = offline(Path())
    assert logger.experiment
    module, plain = fresh(Silent), fresh(Silent)
    fit(module, snapshots(panel=2), Kill(), data=loader(), val=loader(), logger=logger, epochs=3)
    fit(plain, data=plain_loader(), epochs=3)
    print("the same" if same(module, plain) else "another", flush=True)
    os._exit(0)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the service as Linux shows it")
def test_a_service_that_is_killed_costs_a_warning_with_the_loggers_name(tmp_path):
    exit_code, printed = in_a_process_of_its_own(kill_the_service, tmp_path, without_settings())
    assert exit_code == 0
    assert "WandbLogger did not accept the saliency snapshot" in printed
    assert printed.strip().endswith("the same")
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
