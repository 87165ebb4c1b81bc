"""Pictures of a fixed panel, taken without leaving a trace in the training."""

import csv
import html
import os
import signal
import threading
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from drawn_less import all_of_it
from matplotlib.image import imread
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from support import Lit, annotated, fit, fresh, images, loader, noisy_net, plain_loader, regularizer, same, snapshots, trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.utils.data import Subset, TensorDataset
from two_processes import in_a_process_of_its_own

from salreg import AnnotatedDataset
from salreg.attributions import GradCAM, InputGradient, name_of
from salreg.callbacks import SaliencyMetrics, SaliencySnapshots
from salreg.callbacks.behaviour import Behaviour
from salreg.callbacks.panel import spread_over_classes
from salreg.callbacks.probes import default_probes
from salreg.callbacks.sinks import Files, Page, RunFolder, files
from salreg.history import History
from salreg.metrics.functional import spurious_saliency


def test_a_film_strip_and_an_overlay_per_sample_and_epoch(tmp_path):
    fit(fresh(), SaliencySnapshots(panel=4, dir=tmp_path / "out", sanity=False), val=loader(), epochs=3)
    folder = tmp_path / "out" / "snapshots" / "input_gradient"
    assert sorted(p.name for p in folder.iterdir()) == [
        "epoch_0000",
        "epoch_0001",
        "epoch_0002",
        "epoch_0003",
        "film_strip.png",
    ]
    for epoch in folder.glob("epoch_*"):
        assert sorted(p.name for p in epoch.iterdir()) == [f"sample_{i:02d}.png" for i in range(4)]
    assert imread(folder / "film_strip.png").shape[1] > 400


def test_a_panels_reliance_is_of_four_draws_of_donors(tmp_path, monkeypatch):
    drawn, draw = [], Behaviour.draw
    monkeypatch.setattr(Behaviour, "draw", lambda self, seed: drawn.append(seed) or draw(self, seed))
    with all_of_it():
        fit(fresh(), snapshots(panel=4, dir=tmp_path), epochs=1)
    assert drawn == 2 * [0, 0, 1, 2, 3]  # once where it begins


def test_pictures_land_in_the_run_folder_by_default(tmp_path):
    fit(fresh(), snapshots(panel=2), default_root_dir=tmp_path, epochs=1)
    assert (tmp_path / "snapshots" / "input_gradient" / "film_strip.png").is_file()


@pytest.mark.parametrize("taken", ["snapshots/mine.txt", "report.html"])
def test_what_is_there_is_left_alone(tmp_path, taken):
    (tmp_path / "snapshots").mkdir()
    (tmp_path / taken).write_text("keep")
    fit(fresh(), snapshots(panel=2, dir=tmp_path), epochs=1)
    assert (tmp_path / taken).read_text() == "keep"
    assert (tmp_path / "snapshots-1" / "input_gradient" / "film_strip.png").is_file()
    assert (tmp_path / "report-1.html").is_file()


def test_the_cadence_and_the_last_epoch(tmp_path):
    callback = snapshots(panel=2, every_n_epochs=2, dir=tmp_path / "out")
    fit(fresh(), callback, val=loader(), epochs=5)
    assert callback.state_dict()["epochs_drawn"] == [0, 2, 4, 5]


def test_what_the_regularizer_uses_is_drawn(tmp_path):
    watching = SaliencySnapshots(panel=2, dir=tmp_path / "out", sanity=False)
    fit(fresh(), regularizer(attribution=GradCAM("net.2")), watching, epochs=1)
    assert [p.name for p in (tmp_path / "out" / "snapshots").iterdir() if p.is_dir()] == ["grad_cam_net-2"]


def test_several_attributions(tmp_path):
    drawn = [InputGradient(), InputGradient("target_logit"), GradCAM("net.2"), "input_gradient"]
    fit(fresh(), SaliencySnapshots(panel=2, attributions=drawn, dir=tmp_path / "out", sanity=False), epochs=1)
    assert sorted(p.name for p in (tmp_path / "out" / "snapshots").iterdir() if p.is_dir()) == [
        "grad_cam_net-2",
        "input_gradient",
        "input_gradient_2",
    ]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_snapshots_and_metrics_leave_the_training_bit_identical(precision):
    """BatchNorm, Dropout and shuffling would show any extra train-mode forward pass or random number."""
    ours, theirs = fresh(Lit, noisy_net()), fresh(Lit, noisy_net())
    theirs.load_state_dict(ours.state_dict())
    options = {"precision": precision, "num_sanity_val_steps": 2, "epochs": 3}
    fit(theirs, data=plain_loader(shuffle=True), val=plain_loader(), **options)
    used = fit(ours, SaliencySnapshots(panel=4), SaliencyMetrics(), data=loader(shuffle=True), val=loader(), **options)
    assert same(ours, theirs)
    assert used.callback_metrics["val/spurious_saliency"] > 0


def test_a_random_dataset_draws_the_same_numbers_with_snapshots():
    class Noisy(torch.utils.data.Dataset):
        def __len__(self):
            return 24

        def __getitem__(self, index):
            x, y, _ = images()
            return x[index] + torch.rand(()) + np.random.rand(), y[index]

    def trained(*callbacks):
        np.random.seed(0)
        module = fresh()
        fit(module, *callbacks, data=loader(AnnotatedDataset(Noisy(), images()[2])))
        return module

    assert same(trained(regularizer(weight=0)), trained(SaliencySnapshots(panel=4), SaliencyMetrics()))


def test_a_frozen_batch_norm_stays_in_eval_mode():
    class Frozen(Lit):
        def on_train_epoch_start(self):
            self.net[1].eval()

    modes = []

    class Modes(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            modes.append((pl_module.net[1].training, pl_module.net[4].training))

    fit(fresh(Frozen, noisy_net()), SaliencySnapshots(panel=2, sanity=False), SaliencyMetrics(), Modes(), val=loader())
    assert set(modes) == {(False, True)}


def test_the_panel_is_taken_from_validation_and_kept_in_the_checkpoint(tmp_path):
    first = snapshots(panel=4, dir=tmp_path / "first")
    used = fit(fresh(), first, val=loader(annotated(seed=5)), epochs=1)
    used.save_checkpoint(tmp_path / "one.ckpt")
    again = snapshots(panel=4, dir=tmp_path / "second")
    trainer(again, epochs=2).fit(fresh(), loader(), loader(annotated(seed=9)), ckpt_path=tmp_path / "one.ckpt")
    x, _, _ = images(seed=5)
    for callback in (first, again):
        panel = callback.state_dict()["panel"]["samples"]["sample"][0]
        assert all((x == sample).flatten(1).all(1).any() for sample in panel)
    assert again.state_dict()["epochs_drawn"] == [0, 1, 2]
    assert [frame.epoch for frame in again.history.frames["input_gradient"]] == [0, 1, 2]


def test_without_annotated_data_a_warning_says_so():
    with pytest.warns(UserWarning, match="neither the validation nor the training data come from an AnnotatedDataset"):
        fit(fresh(), snapshots(), data=plain_loader(), epochs=1)


def test_a_subset_of_annotated_data_will_do(tmp_path):
    callback = snapshots(panel=4, dir=tmp_path / "out")
    fit(fresh(), callback, data=loader(Subset(annotated(), range(3, 12))), epochs=1)
    assert len(callback.state_dict()["panel"]["samples"]["annotation"]) == 4


def test_the_panel_prefers_annotated_samples_and_takes_classes_in_turn():
    marked = torch.tensor([False, True, True, True, True])
    classes = torch.tensor([2, 0, 0, 0, 1])
    assert spread_over_classes(marked, classes, 4) == [1, 4, 2, 3]
    assert spread_over_classes(marked, None, 5)[-1] == 0


def test_batch_hooks_prepare_the_panel_too(tmp_path):
    class Scaling(Lit):
        seen = 0.0

        def on_after_batch_transfer(self, batch, dataloader_idx):
            assert dataloader_idx == 0
            return [batch[0] / 255, batch[1]]

        def training_step(self, batch, batch_idx):
            Scaling.seen = max(Scaling.seen, batch[0].max().item())
            return super().training_step(batch, batch_idx)

    callback = snapshots(panel=4, dir=tmp_path / "out")
    fit(fresh(Scaling), callback, epochs=1)
    assert Scaling.seen < 2 / 255
    assert callback.history.images[0].max() > 1 / 255  # drawn as it lies in the dataset, where the marks are


class HeadOfFeatures(Lit):
    def __init__(self):
        super().__init__()
        net, self.net = self.net, None
        self.features, self.head = net[:4], net[4:]

    def training_step(self, batch, batch_idx):
        x, y = batch
        return nn.functional.cross_entropy(self.head(self.features(x)), y)

    validation_step = test_step = None


def test_a_split_network_is_drawn_through_forward(tmp_path):
    class WithForward(HeadOfFeatures):
        def forward(self, x):
            return self.head(self.features(x))

    fit(fresh(WithForward), snapshots(panel=2, dir=tmp_path / "out"), epochs=1)
    assert (tmp_path / "out" / "snapshots" / "input_gradient" / "film_strip.png").is_file()


def test_a_call_that_cannot_be_repeated_is_a_warning_with_the_remedy():
    class Unrepeatable(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = Lit().net

        def training_step(self, batch, batch_idx):
            return nn.functional.cross_entropy(self.net(torch.from_numpy(2 * batch[0].detach().numpy())), batch[1])

        configure_optimizers = Lit.configure_optimizers
        lr = 0.1

    with pytest.warns(UserWarning, match=r"snapshot of epoch 1 failed.*numpy.*came out with other values"):
        fit(fresh(Unrepeatable), snapshots(panel=2), epochs=1)


def test_a_snapshot_that_fails_costs_a_warning(monkeypatch, tmp_path):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(files, "save_png", full)
    module, plain = fresh(), fresh()
    fit(plain, data=plain_loader())
    with pytest.warns(UserWarning, match="snapshot of epoch 1 failed: No space left"):
        fit(module, snapshots(panel=2))
    assert same(module, plain)


def test_a_picture_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "picture.png"
    files.save_png(path, np.zeros((4, 4, 3), np.uint8))
    before = path.read_bytes()
    with pytest.raises(Exception):  # noqa: B017, PT011
        files.save_png(path, np.zeros((4, 4, 7), np.uint8))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# Loggers


def test_tensorboard_gets_the_pictures(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fit(fresh(), SaliencySnapshots(panel=2, sanity=False), logger=TensorBoardLogger(tmp_path), epochs=2)
    events = EventAccumulator(str(tmp_path / "lightning_logs" / "version_0"))
    events.Reload()
    assert set(events.Tags()["images"]) == {f"salreg/input_gradient/{t}" for t in ("film_strip", "panel/00", "panel/01")}
    assert [e.step for e in events.Images("salreg/input_gradient/film_strip")] == [0, 3, 6]


class Failing(Logger):
    """A logger whose network is down, for pictures."""

    name, version = "failing", 0

    def log_metrics(self, metrics, step=None): ...

    def log_hyperparams(self, params, *args, **kwargs): ...


def test_a_logger_that_fails_costs_a_warning(tmp_path, monkeypatch):
    def down(*_):
        raise ConnectionError("network is unreachable")

    monkeypatch.setattr("salreg.callbacks.sinks.loggers.Numbers.write", down)
    with pytest.warns(UserWarning, match="Failing did not accept the saliency snapshot: network is unreachable"):
        fit(fresh(), snapshots(panel=2, dir=tmp_path / "out"), logger=Failing(), epochs=1)
    assert (tmp_path / "out" / "snapshots" / "input_gradient" / "film_strip.png").is_file()


@pytest.mark.parametrize("options", [{"panel": 0}, {"every_n_epochs": 0}])
def test_numbers_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match="at least 1"):
        SaliencySnapshots(**options)


def test_an_unknown_layer_is_found_out_before_training():
    with pytest.raises(ValueError, match="no layer 'net.9'"):
        fit(fresh(), snapshots(attributions=[GradCAM("net.9")]))


def test_tables_are_drawn_too(tmp_path):
    x, y = torch.rand(16, 5), torch.randint(0, 3, (16,))
    data = loader(AnnotatedDataset(TensorDataset(x, y), -torch.eye(5, dtype=torch.int8)[torch.arange(16) % 5]))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*snapshot.*failed.*")
        fit(fresh(Lit, nn.Sequential(nn.Linear(5, 3))), SaliencySnapshots(panel=2, dir=tmp_path / "out"), data=data)
    assert (tmp_path / "out" / "snapshots" / "input_gradient" / "film_strip.png").is_file()


@pytest.mark.parametrize("shape", [(1, 400), (400,)])
def test_sounds_are_drawn_as_curves(tmp_path, shape):
    x, y = torch.rand(12, *shape), torch.arange(12) % 3
    marks = torch.zeros(12, *shape, dtype=torch.int8)
    marks[..., :50] = -1
    callback = snapshots(panel=2, dir=tmp_path)
    data = loader(AnnotatedDataset(TensorDataset(x, y), marks))
    fit(fresh(Lit, nn.Sequential(nn.Flatten(), nn.Linear(400, 3))), callback, data=data, epochs=1)
    assert [tuple(one.shape) for one in callback.history.images] == [(1, 400)] * 2
    drawn = imread(tmp_path / "snapshots" / "input_gradient" / "epoch_0001" / "sample_00.png")
    assert drawn.shape[:2] == (160, 320)
    assert (tmp_path / "report.html").is_file()


# Numbers


def panel_rows(folder):
    with (folder / "snapshots" / "panel.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_numbers_of_each_snapshot_are_written_and_logged(tmp_path):
    logger = TensorBoardLogger(tmp_path, name="", version="")
    callback = snapshots(panel=4, dir=tmp_path / "out", probes=["occlusion"])
    fit(fresh(), callback, val=loader(), epochs=2, logger=logger)
    rows = panel_rows(tmp_path / "out")
    assert [(row["epoch"], row["attribution"]) for row in rows] == [
        (str(epoch), name) for epoch in range(3) for name in ("input_gradient", "occlusion")
    ]
    assert rows[0]["cosine_to_first"] == ""
    assert float(rows[4]["cosine_to_first"]) < float(rows[4]["cosine_to_previous"]) < 1
    assert all(0 <= float(row["spurious_saliency"]) <= 1 for row in rows)
    events = EventAccumulator(str(tmp_path)).Reload()
    logged = [event.value for event in events.Scalars("panel/occlusion/gini")]
    assert logged == pytest.approx([float(row["gini"]) for row in rows if row["attribution"] == "occlusion"], abs=1e-6)


def test_the_numbers_are_those_of_the_maps(tmp_path):
    """At weight decay and learning rate 0 nothing drifts; the share is that of the panel's maps."""
    module = fresh(Lit, lr=0.0)
    callback = snapshots(panel=24, dir=tmp_path / "out")
    fit(module, callback, val=loader(), epochs=2)
    x, _, marks = images()
    expected = spurious_saliency(InputGradient()(module.net, x), marks.float())[marks.flatten(1).any(1)].mean()
    last = panel_rows(tmp_path / "out")[-1]
    assert float(last["spurious_saliency"]) == pytest.approx(expected.item(), rel=1e-4)
    assert [float(last[key]) for key in ("cosine_to_first", "rank_correlation_to_first")] == pytest.approx([1, 1])
    assert float(last["center_shift_to_first"]) == pytest.approx(0, abs=1e-6)


def test_probes_are_of_other_families_than_what_is_drawn():
    module, image, marks, table = fresh(), torch.rand(2, 3, 8, 8), torch.zeros(2, 1, 8, 8), torch.rand(2, 5)
    assert [name_of(p) for p in default_probes(module, image, marks, [InputGradient()])] == ["grad_cam", "occlusion"]
    assert [name_of(p) for p in default_probes(module, image, marks, [GradCAM("net.2")])] == [
        "occlusion",
        "integrated_gradients",
    ]
    assert [name_of(p) for p in default_probes(module, table, table, [InputGradient()])] == [
        "occlusion",
        "integrated_gradients",
    ]


def test_a_probe_of_what_is_marked_channel_by_channel_has_all_channels():
    series = torch.rand(2, 12, 5)
    probe = default_probes(fresh(), series, torch.zeros(2, 12, 5), [InputGradient()])[0]
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(60, 3))
    assert name_of(probe) == "feature_ablation"
    assert probe(model, series, torch.zeros(2)).shape == (2, 12, 5)
    assert len(probe.groups.unique()) == 7 * 5


@pytest.mark.parametrize("channel", [slice(None), 1])
def test_marks_by_channel_are_drawn_where_any_channel_is_marked(tmp_path, recwarn, channel):
    x, y, _ = images(8)
    marks = torch.zeros(8, 2, 8, 8, dtype=torch.int8)
    marks[:, channel, :3, :3] = -1
    data = loader(AnnotatedDataset(TensorDataset(x.repeat(1, 2, 1, 1), y), marks))
    net = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.Flatten(), torch.nn.Linear(108, 3))
    fit(fresh(Lit, net), SaliencySnapshots(panel=2, dir=tmp_path, sanity=False), data=data, epochs=1)
    drawn = History.load(tmp_path / "snapshots" / "history.pt")
    assert {row["attribution"] for row in drawn.panel} == {"input_gradient", "grad_cam", "occlusion"}
    for one in drawn.annotations:
        assert one.shape == (1, 8, 8)
        assert (one[0, :3, :3] < 0).all()
    assert not [one for one in recwarn if "failed" in str(one.message) or "left out" in str(one.message)]


def test_a_probe_that_does_not_fit_is_left_out_with_a_reason(tmp_path):
    callback = snapshots(panel=2, dir=tmp_path / "out", probes=["attention_rollout", "occlusion"])
    with pytest.warns(UserWarning, match="probe attention_rollout is left out: .*returned no attention weights"):
        fit(fresh(), callback, val=loader(), epochs=1)
    assert {row["attribution"] for row in panel_rows(tmp_path / "out")} == {"input_gradient", "occlusion"}


def test_the_numbers_go_on_after_an_interruption(tmp_path):
    first = snapshots(panel=4, dir=tmp_path / "a")
    used = fit(fresh(), first, val=loader(), epochs=1)
    used.save_checkpoint(tmp_path / "at_1.ckpt")
    second = snapshots(panel=4, dir=tmp_path / "b")
    resumed = trainer(second, epochs=2)
    resumed.fit(fresh(), loader(), loader(), ckpt_path=tmp_path / "at_1.ckpt")
    rows = panel_rows(tmp_path / "b")
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert rows[2]["cosine_to_first"] != ""


# The end of a training


def test_the_end_says_what_happened_and_checks_the_maps(tmp_path):
    module = fresh()
    callback = SaliencySnapshots(panel=8, dir=tmp_path / "out", probes=["occlusion"])
    fit(module, regularizer(), callback, val=loader(), epochs=2)
    assert list(callback.history.sanity) == ["input_gradient", "occlusion"]
    assert callback.history.verdict.measured.startswith("epoch 1 → epoch 2: spurious saliency ")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Can the maps be trusted?" in page
    assert html.escape(callback.history.verdict.conclusion[1:]) in page
    assert html.escape(callback.history.verdict.measured) in page


def test_checks_leave_the_model_as_it_was_trained():
    ours, theirs = fresh(Lit, noisy_net()), fresh(Lit, noisy_net())
    theirs.load_state_dict(ours.state_dict())
    fit(ours, SaliencySnapshots(panel=4, sanity=True), val=loader())
    fit(theirs, SaliencySnapshots(panel=4, sanity=False), val=loader())
    assert same(ours, theirs)


def test_checks_that_fail_cost_a_warning(monkeypatch):
    def broken(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr("salreg.callbacks.panel_watch.panel_sanity", broken)
    callback = SaliencySnapshots(panel=2)
    with pytest.warns(UserWarning, match="check of the saliency maps failed: out of memory"):
        fit(fresh(), callback, val=loader(), epochs=1)
    assert len(callback.history.frames["input_gradient"]) == 2


def test_a_constant_explainer_is_flagged_in_the_report(tmp_path):
    def input_itself(model, inputs, target):
        return inputs + 0 * sum(parameter.sum() for parameter in model.parameters())

    fit(fresh(), SaliencySnapshots(panel=8, dir=tmp_path, attributions=[input_itself], probes=[]), val=loader(), epochs=1)
    assert "input_itself</b> is not to be trusted on this model" in (tmp_path / "report.html").read_text()


# Names


def test_classes_are_called_by_their_names(tmp_path):
    callback = snapshots(panel=2, dir=tmp_path, class_names=["cat", "<dog>", "owl"])
    fit(fresh(), callback, val=loader(), epochs=1)
    frame = callback.history.frames["input_gradient"][0]
    assert {*callback.history.labels, *frame.predictions} <= {"cat", "<dog>", "owl"}
    assert "<dog>" not in (tmp_path / "report.html").read_text()


def test_the_names_are_the_datasets_own():
    class Named(TensorDataset):
        classes = ("cat", "dog", "owl")

    x, y, annotations = images()
    callback = snapshots(panel=2)
    fit(fresh(), callback, data=loader(AnnotatedDataset(Named(x, y), annotations)), epochs=1)
    assert set(callback.history.labels) <= set(Named.classes)


# What is left behind


def test_everything_at_weight_zero_is_bit_identical():
    ours, theirs = fresh(Lit, noisy_net()), fresh(Lit, noisy_net())
    theirs.load_state_dict(ours.state_dict())
    fit(theirs, data=plain_loader(shuffle=True), val=plain_loader(), epochs=2)
    watching = [regularizer(weight=0), SaliencyMetrics(), SaliencySnapshots(panel=4, alerts={"reliance": 0.0})]
    fit(ours, *watching, data=loader(shuffle=True), val=loader(), epochs=2)
    assert same(ours, theirs)


def test_twenty_snapshots_leave_nothing_open(monkeypatch):
    """Open files, hooks and figures are counted after the 5th and after the 20th snapshot."""
    for sink in (Files, Page):
        monkeypatch.setattr(sink, "write", lambda *_: None)  # twenty folders of pictures
    counts = {}

    class Count(pl.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in pl_module.modules())
            files = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
            counts[trainer.current_epoch] = (files, hooks, len(plt.get_fignums()), threading.active_count())

    module, callback = fresh(), snapshots(panel=1, probes=["occlusion"])
    fit(module, callback, Count(), data=loader(batch_size=24), val=loader(batch_size=24), epochs=20)
    assert len(callback.state_dict()["epochs_drawn"]) == 21
    assert all(last <= early for early, last in zip(counts[5], counts[19], strict=True))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())


def killed_amid_a_snapshot():
    save, pictures = files.imsave, []

    def dying(path, pixels, format):
        pictures.append(path)
        if len(pictures) == 5:  # the film strip, for the second time: its first half is on the disk
            Path(path).write_bytes(b"half a picture")
            os.kill(os.getpid(), signal.SIGKILL)
        save(path, pixels, format=format)

    files.imsave = dying
    fit(fresh(), snapshots(panel=2, dir=Path("out")), epochs=2)


def test_a_kill_amid_a_snapshot_leaves_whole_files(tmp_path):
    assert in_a_process_of_its_own(killed_amid_a_snapshot, tmp_path)[0] == -signal.SIGKILL
    drawn = sorted(path for path in (tmp_path / "out").rglob("*.png") if not path.name.startswith("."))
    assert len(drawn) == 3
    assert all(imread(path).ndim == 3 for path in drawn)
    assert (tmp_path / "out" / "report.html").read_text().endswith("</html>\n")
    assert History.load(tmp_path / "out" / "snapshots" / "history.pt").frames["input_gradient"][0].epoch == 0


def test_two_runs_at_once_take_folders_of_their_own(tmp_path):
    first, second = RunFolder.unused(tmp_path), None
    (first.snapshots / "panel.csv").write_text("mine")
    second = RunFolder.unused(tmp_path)
    assert first.snapshots != second.snapshots
    assert first.report != second.report


def test_the_history_goes_on_after_an_interruption(tmp_path):
    first = snapshots(panel=4, dir=tmp_path / "a")
    used = fit(fresh(), first, SaliencyMetrics(), val=loader(), epochs=2)
    used.save_checkpoint(tmp_path / "at_2.ckpt")
    second = snapshots(panel=4, dir=tmp_path / "b")
    trainer(second, SaliencyMetrics(), epochs=3).fit(fresh(), loader(), loader(), ckpt_path=tmp_path / "at_2.ckpt")
    assert [frame.epoch for frame in second.history.frames["input_gradient"]] == [0, 1, 2, 3]
    assert all("val/reliance" in second.history.curves[epoch] for epoch in (1, 2, 3))
