"""Digits whose colour lies at test time."""

import pytest
import torch
from idx import write_idx

from salreg.recipes.command.cli import main
from salreg.recipes.experiments.color_mnist import COLORS, SinglePixels, build, colored
from salreg.recipes.training import config as configuration

FAST = [
    "trainer.max_epochs=1",
    "trainer.enable_progress_bar=false",
    "snapshots.panel=2",
    "data.validation=4",
    "data.batch_size=8",
]


def test_a_digit_has_its_classs_colour():
    images = torch.zeros(2, 4, 4, dtype=torch.uint8)
    images[:, 1:3, 1:3] = 255
    drawn = colored(images, torch.tensor([0, 7]))
    assert drawn.shape == (2, 3, 4, 4)
    torch.testing.assert_close(drawn[1, :, 1, 1], COLORS[7])
    assert not drawn[:, :, 0].any()


def test_ten_colours_that_differ():
    assert len(COLORS.unique(dim=0)) == 10


def test_marks_are_single_pixels_of_the_digit_and_others_each_time():
    image = torch.zeros(3, 6, 6)
    image[0, 2:5, 1:5] = 1
    mark = SinglePixels(4)
    drawn = [mark(0, (image, torch.tensor(0), torch.tensor(0))) for _ in range(5)]
    assert all(one.shape == (1, 6, 6) and one.sum() == -4 for one in drawn)
    assert all(not one[0][image[0] == 0].any() for one in drawn)
    assert any(not torch.equal(drawn[0], one) for one in drawn[1:])


def test_the_test_colours_are_reversed(tmp_path):
    write_idx(tmp_path)
    config = configuration.load("color_mnist", [f"data.root={tmp_path}", "data.validation=4", "data.batch_size=10"])
    images, labels, _ = next(iter(build(config).test)).sample
    shown = images.amax((2, 3)) / images.amax((1, 2, 3)).view(-1, 1)
    torch.testing.assert_close(shown, COLORS[9 - labels], atol=0.01, rtol=0)


def test_it_runs(tmp_path, capsys):
    write_idx(tmp_path)
    assert main(["run", "color_mnist", f"data.root={tmp_path}", *FAST, "regularizer.preset=cdep"]) == 0
    assert main(["run", "color_mnist", f"data.root={tmp_path}", *FAST, "data.pixels=0"]) == 2
    assert "data.pixels must be at least 1" in capsys.readouterr().err


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
