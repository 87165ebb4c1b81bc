import functools
import gc
import itertools
import os
import sys
import tempfile
from importlib import metadata

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported, here and in the processes that tests start
os.environ["MPLBACKEND"] = "Agg"
os.environ["TRACKIO_DIR"] = tempfile.mkdtemp()  # read when trackio is imported
os.environ["WANDB_SILENT"] = "true"
metadata.entry_points = functools.cache(metadata.entry_points)  # each Trainer reads the files of all that is installed

_NUMBERS = itertools.count()


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    gc.disable()  # what is imported stays, and need not be looked through again and again
    collected = yield
    gc.freeze()
    gc.enable()
    return collected


@pytest.fixture(scope="session", autouse=True)
def seeds_are_for_the_processors_at_hand():
    """PyTorch keeps each seed for processors that it may find later, with the text of the stack."""
    import torch  # not for the process that only hands tests out

    if not torch.accelerator.is_available():
        for absent in (torch.cuda, torch.mtia, torch.xpu):
            absent.manual_seed_all = lambda seed: None


@pytest.fixture(scope="session", autouse=True)
def snapshots_are_small():
    """But inside of ``drawn_less.all_of_it()``."""
    if "salreg.callbacks" not in sys.modules:  # there are none in these tests
        yield
        return
    from drawn_less import less

    with less():
        yield


@pytest.fixture
def tmp_path(tmp_path_factory):
    """A new folder; pytest's own looks through all earlier ones for a name, and links each as the current one."""
    return tmp_path_factory.mktemp(f"test{next(_NUMBERS)}", numbered=False)


@pytest.fixture(autouse=True)
def one_thread():
    """Small models train faster on one thread, and parallel test processes do not fight for cores."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeded():
    import torch

    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    """Whatever a Trainer writes lands in the test's own folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def switches_are_left_as_they_were():
    """PyTorch's switches are those of the whole process: what a step leaves behind slows or changes all that follows."""
    before = _switches()
    yield
    assert _switches() == before


def _switches():
    import torch

    kernels = torch.backends.cuda
    return {
        "fused attention": (kernels.flash_sdp_enabled(), kernels.mem_efficient_sdp_enabled(), kernels.math_sdp_enabled()),
        "cuDNN": torch.backends.cudnn.enabled,
        "gradients": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "type": torch.get_default_dtype(),
    }
