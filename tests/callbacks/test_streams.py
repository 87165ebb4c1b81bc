"""Training on streams, with all three callbacks: plain ones, resumable ones, WebDataset's and litdata's."""

import io
import tarfile

import numpy as np
import pytest
import torch
import webdataset
from pytorch_lightning.callbacks import ModelCheckpoint
from support import fit, fresh, images, loader, regularizer, same, trainer
from torch.utils.data import DataLoader, IterableDataset

from salreg.callbacks import SaliencyMetrics, SaliencyRegularizer, SaliencySnapshots
from salreg.data import Annotate, AnnotatedStream, Collate


class Stream(IterableDataset):
    """Images ``(x, y)`` whose corner is the shortcut."""

    def __init__(self):
        self.x, self.y, self.annotations = images()

    def __iter__(self):
        return iter(zip(self.x, self.y, strict=True))


def corner(sample):
    mark = torch.zeros(1, 8, 8, dtype=torch.int8)
    mark[:, :3, :3] = -1
    return mark


class StreamingDataLoader(DataLoader):
    """litdata's loader in what matters: it knows how many batches it gave, and goes on behind them.

    litdata itself needs torchvision, of which there is no build beside a CPU build of PyTorch.
    """

    def __init__(self, dataset, **options):
        super().__init__(dataset, **options)
        self.given, self.skip = 0, 0

    def __iter__(self):
        self.given, skip, self.skip = self.skip, self.skip, 0
        for number, batch in enumerate(super().__iter__()):
            if number >= skip:
                self.given = number + 1
                yield batch
        self.given = 0

    def state_dict(self):
        return {"given": self.given}

    def load_state_dict(self, state):
        self.skip = state["given"]


def streamed():
    return DataLoader(AnnotatedStream(Stream(), corner), batch_size=8)


def test_at_weight_zero_nothing_changes(tmp_path):
    plain, watched = fresh(), fresh()
    fit(plain, data=DataLoader(Stream(), batch_size=8), val=DataLoader(Stream(), batch_size=8))
    snapshots = SaliencySnapshots(panel=4, dir=tmp_path, probes=[], sanity=False)
    used = fit(watched, regularizer(weight=0), snapshots, SaliencyMetrics(), data=streamed(), val=streamed())
    assert same(plain, watched)
    assert "val/spurious_saliency" in used.callback_metrics


@pytest.mark.parametrize("num_sanity_val_steps", [0, 1])
def test_snapshots_draw_the_first_batch_with_marks(tmp_path, num_sanity_val_steps):
    snapshots = SaliencySnapshots(panel=4, dir=tmp_path, probes=[], sanity=False)
    fit(fresh(), SaliencyRegularizer(), snapshots, data=streamed(), val=streamed(), num_sanity_val_steps=num_sanity_val_steps)
    assert [frame.epoch for frame in snapshots.history.frames["input_gradient"]] == [0, 1, 2]
    first = {tuple(one.flatten().tolist()) for one in Stream().x[:8]}
    assert len(snapshots.history.images) == 4
    assert {tuple(one.flatten().tolist()) for one in snapshots.history.images} <= first
    assert all(mark.eq(-1).any() for mark in snapshots.history.annotations)


def test_a_stream_trains_as_the_same_samples_with_indices():
    class Marked(Stream):
        def __iter__(self):
            return iter(zip(self.x, self.y, self.annotations, strict=True))

    class Pairs(AnnotatedStream):
        def __iter__(self):
            return (type(one)(one.sample[:2], one.annotation, one.looked_at) for one in super().__iter__())

    by_index, in_order = fresh(), fresh()
    fit(by_index, regularizer())
    fit(in_order, regularizer(), data=DataLoader(Pairs(Marked(), lambda sample: sample[2]), batch_size=8))
    assert same(by_index, in_order)


def test_a_loader_that_knows_where_it_is_goes_on_there_after_an_interruption(tmp_path):
    class Sized(Stream):
        def __len__(self):
            return len(self.x)

    def resumable():
        return StreamingDataLoader(AnnotatedStream(Sized(), corner), batch_size=8)

    whole, resumed = fresh(), fresh()
    keep = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=2, save_top_k=-1)
    fit(whole, SaliencyRegularizer(weight=1.0), keep, data=resumable(), max_steps=5, enable_checkpointing=True)
    going_on = trainer(SaliencyRegularizer(weight=1.0), max_steps=5)
    going_on.fit(resumed, resumable(), ckpt_path=tmp_path / "step=2.ckpt")
    assert going_on.global_step == 5
    assert same(resumed, whole)


def shard(path):
    """A shard of WebDataset's: one image, class and mask a sample."""
    x, y, annotations = images()
    with tarfile.open(path, "w") as archive:
        for index in range(len(x)):
            for name, value in {"x.npy": x[index], "y.npy": y[index], "marks.npy": annotations[index]}.items():
                content = io.BytesIO()
                np.save(content, value.numpy())
                info = tarfile.TarInfo(f"{index:03d}.{name}")
                info.size = content.tell()
                content.seek(0)
                archive.addfile(info, content)
    return str(path)


def pairs(samples):
    x = torch.stack([torch.from_numpy(one["x.npy"]) for one in samples])
    return x, torch.tensor([int(one["y.npy"]) for one in samples])


def test_webdatasets_loader_is_read_and_drawn(tmp_path):
    def web(collate, *stages):
        stream = webdataset.WebDataset(shard(tmp_path / "0.tar"), shardshuffle=False).decode()
        for stage in stages:
            stream = stream.map(stage)
        return webdataset.WebLoader(stream.batched(8, collation_fn=collate), batch_size=None)

    annotate = Annotate(lambda sample: torch.from_numpy(sample["marks.npy"]))
    plain, watched, penalised = fresh(), fresh(), fresh()
    snapshots = SaliencySnapshots(panel=4, dir=tmp_path / "run", probes=[], sanity=False)
    fit(plain, data=web(pairs))
    fit(watched, regularizer(weight=0), snapshots, data=web(Collate(pairs), annotate))
    assert same(watched, plain)
    assert len(snapshots.history.images) == 4
    assert (tmp_path / "run" / "report.html").is_file()
    by_index = fresh()
    fit(by_index, regularizer(), data=loader())
    fit(penalised, regularizer(), data=web(Collate(pairs), annotate))
    assert same(penalised, by_index)


def test_a_stream_without_marks_is_said_to_draw_nothing(tmp_path):
    data = DataLoader(AnnotatedStream(Stream(), lambda sample: None), batch_size=8)
    with pytest.warns(UserWarning, match="draws nothing.*no stream has delivered a batch with marks"):
        fit(fresh(), SaliencySnapshots(panel=2, dir=tmp_path / "run"), data=data)
    assert not (tmp_path / "run").exists()
