"""Where runs are written."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from salreg.recipes.training import run_folder
from salreg.recipes.training.config import ConfigError


def test_runs_of_the_same_second_get_folders_of_their_own(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: run_folder.create(tmp_path, "digits"), range(32)))
    assert len(set(folders)) == 32
    assert all(folder.is_dir() for folder in folders)


def test_what_killed_runs_left_unfinished_is_removed_at_the_next_start(tmp_path):
    killed = run_folder.create(tmp_path, "digits")
    (killed / ".report.html.abcd_123.unfinished").touch()
    (killed / "report.html").touch()
    run_folder.create(tmp_path, "digits")
    assert [path.name for path in killed.iterdir()] == ["report.html"]


def test_a_place_where_no_folder_can_be_is_named(tmp_path):
    (tmp_path / "runs").touch()
    with pytest.raises(ConfigError, match="out: .*runs.*Choose another"):
        run_folder.create(tmp_path / "runs", "digits")
