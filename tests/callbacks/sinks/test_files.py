"""What snapshots leave on the disk, and what they do where they cannot."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from support import Lit, fit, fresh, history, images, loader, plain_loader, same
from torch.utils.data import TensorDataset

from salreg.callbacks import SaliencySnapshots, painter
from salreg.callbacks.painter import paint
from salreg.callbacks.sinks import Files, Page, RunFolder
from salreg.callbacks.snapshot import Snapshot
from salreg.data import AnnotatedDataset


def mode(path):
    return path.stat().st_mode & 0o777


def test_everything_a_snapshot_writes_is_its_owners_alone(tmp_path):
    fit(fresh(), SaliencySnapshots(panel=1, dir=tmp_path, probes=[], sanity=False), epochs=1)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".png", ".csv", ".pt", ".html"}
    assert {mode(path) for path in files} <= {0o600}


def test_a_planted_link_is_not_followed(tmp_path):
    victim, run = tmp_path / "victim", tmp_path / "run"
    victim.mkdir()
    run.mkdir()
    (run / "snapshots").symlink_to(victim)
    (run / "report.html").symlink_to(victim / "passwords")
    fit(fresh(), SaliencySnapshots(panel=1, dir=run, probes=[], sanity=False), epochs=1)
    assert not list(victim.iterdir())
    assert (run / "report-1.html").is_file()


def test_runs_that_start_at_once_get_names_of_their_own(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(RunFolder.unused, [tmp_path / "run"] * 16))
    assert len({files.snapshots for files in taken}) == len({files.report for files in taken}) == 16


def test_what_a_killed_run_left_is_removed_when_its_folder_is_written_to_again(tmp_path):
    files = RunFolder.unused(tmp_path)
    left = [tmp_path / ".report.html.abcd_123.unfinished", files.snapshots / ".history.pt.abcd_123.unfinished"]
    for path in left:
        path.touch()
    Files(RunFolder(tmp_path)).write(paint(Snapshot(1), history()))
    assert not any(path.exists() for path in left)


def test_secrets_of_a_configuration_do_not_reach_the_report(tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 5  # mine\ntracker: {api_key: hush}\n")
    folder = RunFolder.unused(tmp_path)
    painted = paint(Snapshot(1), history())
    for sink in (Files(folder), Page(folder)):
        sink.write(painted)
    for path in (folder.report, folder.snapshots / "history.pt"):
        assert b"hush" not in path.read_bytes()
        assert b"seed: 5  # mine" in path.read_bytes()


def test_a_run_folder_that_cannot_be_written_to_is_a_warning_and_the_training_goes_on(tmp_path):
    plain, watched = fresh(), fresh()
    fit(plain, data=plain_loader())
    (tmp_path / "runs").touch()  # even root cannot make a folder below a file
    snapshots = SaliencySnapshots(panel=1, dir=tmp_path / "runs" / "mine", probes=[], sanity=False)
    with pytest.warns(UserWarning, match=r"run folder .*mine cannot be written to .*SaliencySnapshots\(dir=") as warned:
        fit(watched, snapshots)
    assert not [one for one in warned if "failed" in str(one.message)]  # it is said once
    assert same(plain, watched)
    assert len(snapshots.history.frames["input_gradient"]) == 3


def test_an_interrupted_training_leaves_its_report(tmp_path):
    module = fresh()

    def interrupted(batch, batch_idx, step=module.training_step):
        if module.global_step == 4:  # amid the second epoch
            raise KeyboardInterrupt
        return step(batch, batch_idx)

    module.training_step = interrupted
    with pytest.raises(SystemExit):
        fit(module, SaliencySnapshots(panel=1, dir=tmp_path, probes=[], sanity=False), data=loader())
    assert Path(tmp_path / "report.html").read_text().endswith("</html>\n")


def test_a_snapshot_that_fails_on_a_sample_says_which(tmp_path):
    class Picky(Lit):
        def forward(self, x):
            if not self.training and self.global_step and (x[:, 0, 7, 7] == 0.5).any():
                raise ValueError("half a pixel")
            return super().forward(x)

    x, y, annotations = images()
    x[:, 0, 7, 7] = 0.25
    data = AnnotatedDataset(TensorDataset(x, y), annotations)
    chosen = SaliencySnapshots(panel=4, dir=tmp_path / "first", probes=[], sanity=False)
    fit(fresh(Picky), chosen, data=loader(data), epochs=1)
    x[(x[:, None] == torch.stack(chosen.history.images)).flatten(2).all(2).any(1).nonzero()[2], 0, 7, 7] = 0.5
    with pytest.warns(UserWarning, match=r"epoch 1 failed: sample \d of the panel cannot be explained: half a pixel"):
        fit(fresh(Picky), SaliencySnapshots(panel=4, dir=tmp_path, probes=[], sanity=False), data=loader(data), epochs=1)


def test_a_sample_that_cannot_be_drawn_is_named(monkeypatch):
    seen = history(1)

    def picky(image, *_, **__):
        if image is seen.images[1]:
            raise ValueError("too dark")

    monkeypatch.setattr(painter, "overlay", picky)
    with pytest.raises(RuntimeError, match="sample 1 of the panel cannot be drawn: too dark"):
        paint(Snapshot(0, frames={"input_gradient": seen.frames["input_gradient"][0]}), seen)
