"""What a run folder remembers, and what is said of one that cannot be read."""

import pytest
import torch
from support import history

from salreg.history import History


@pytest.fixture
def path(tmp_path):
    torch.save(history().state_dict(), tmp_path / "history.pt")
    return tmp_path / "history.pt"


def test_what_was_written_is_read_again(path):
    read = History.load(path)
    assert [frame.epoch for frame in read.frames["input_gradient"]] == [0, 1, 2]
    assert read.state_dict().keys() == history().state_dict().keys()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_half_a_file_is_named(path, share):
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match=r"history\.pt is not a complete history.*train again"):
        History.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("panel"), "it lacks panel"),
        (lambda state: state.update(colours=[]), "it also has colours"),
        (lambda state: (state.pop("panel"), state.update(colours=[])), "it lacks panel and also has colours"),
        (lambda state: state["frames"]["input_gradient"][0].update(colour=1), "unexpected keyword argument 'colour'"),
        (lambda state: state["sanity"]["input_gradient"].update(colour=1), "unexpected keyword argument 'colour'"),
        (lambda state: state.update(frames=[]), "no attribute 'items'"),
    ],
)
def test_the_file_of_another_version_is_named_with_what_differs(path, change, message):
    state = history().state_dict()
    change(state)
    torch.save(state, path)
    with pytest.raises(ValueError, match=rf"history\.pt: .*{message}.*the version of salreg that wrote it"):
        History.load(path)


def test_something_else_is_named(path):
    torch.save(torch.zeros(3), path)
    with pytest.raises(ValueError, match="not a history of this version"):
        History.load(path)
    with pytest.raises(FileNotFoundError, match="There is no history"):
        History.load(path.with_name("nothing.pt"))
