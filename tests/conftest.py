import os
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported, here and in the processes that tests start

import matplotlib
import pytest
import torch

matplotlib.use("Agg")
os.environ["TRACKIO_DIR"] = tempfile.mkdtemp()  # read when trackio is imported
os.environ["WANDB_SILENT"] = "true"


@pytest.fixture(autouse=True)
def one_thread():
    """Small models train faster on one thread, and parallel test processes do not fight for cores."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    """Whatever a Trainer writes lands in the test's own folder."""
    monkeypatch.chdir(tmp_path)
