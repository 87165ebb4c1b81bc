"""Files on a machine that others use, too."""

import os
import signal
from pathlib import Path

import pytest
from two_processes import in_a_process_of_its_own

from salreg.callbacks.atomic_write import atomic_write, remove_unfinished


def write(path, text="new"):
    with atomic_write(path) as unfinished:
        unfinished.write_text(text)


@pytest.fixture
def umask():
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def mode(path):
    return path.stat().st_mode & 0o777


def test_a_new_file_is_its_owners_alone(tmp_path, umask):
    write(tmp_path / "a")
    umask(0)
    write(tmp_path / "b")
    assert [mode(tmp_path / name) for name in "ab"] == [0o600] * 2


def test_a_stricter_umask_wins(tmp_path, umask):
    umask(0o277)
    with atomic_write(tmp_path / "a"):
        pass
    assert mode(tmp_path / "a") == 0o400


def test_who_shared_a_file_once_has_shared_it(tmp_path):
    write(tmp_path / "report.html")
    (tmp_path / "report.html").chmod(0o644)
    write(tmp_path / "report.html", "newer")
    assert mode(tmp_path / "report.html") == 0o644
    assert (tmp_path / "report.html").read_text() == "newer"


def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path):
    (tmp_path / "others").write_text("theirs")
    (tmp_path / "report.html").symlink_to("others")
    write(tmp_path / "report.html")
    assert (tmp_path / "others").read_text() == "theirs"
    assert not (tmp_path / "report.html").is_symlink()
    assert mode(tmp_path / "report.html") == 0o600


def test_the_unfinished_name_cannot_be_foreseen(tmp_path):
    names = set()
    for _ in range(20):
        with atomic_write(tmp_path / "report.html") as unfinished:
            names.add(unfinished.name)
            assert unfinished.parent == tmp_path
    assert len(names) == 20


def test_a_failure_leaves_the_earlier_file_and_nothing_else(tmp_path):
    write(tmp_path / "a", "old")
    with pytest.raises(TypeError), atomic_write(tmp_path / "a") as unfinished:
        unfinished.write_text(None)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def killed_amid_a_file():
    with atomic_write(Path("deep", "report.html")) as unfinished:
        unfinished.write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_process_left_is_removed_and_what_is_being_written_is_not(tmp_path):
    in_a_process_of_its_own(killed_amid_a_file, tmp_path)
    (left,) = (tmp_path / "deep").iterdir()
    (tmp_path / ".bashrc").touch()
    (tmp_path / ".notes.unfinished").touch()
    with atomic_write(tmp_path / "mine") as unfinished:
        unfinished.write_text("whole")
        assert remove_unfinished(tmp_path) == [left]
    assert (tmp_path / "mine").read_text() == "whole"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".bashrc", ".notes.unfinished", "deep", "mine", "printed.txt"]


def test_links_are_not_followed_to_what_to_remove(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".a.abcdefgh.unfinished").touch()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "link").symlink_to(elsewhere)
    (tmp_path / "run" / ".b.abcdefgh.unfinished").symlink_to(elsewhere / ".a.abcdefgh.unfinished")
    assert remove_unfinished(tmp_path / "run") == []
    assert Path(elsewhere / ".a.abcdefgh.unfinished").exists()
