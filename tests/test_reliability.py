"""What docs/reliability.md promises is tested, and what it counts is there."""

import os
import re
import sys
from pathlib import Path

import pytest
from two_processes import in_a_process_of_its_own

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reliability.md").read_text("utf-8")
PROMISES = re.findall(r"\[(test_\w+)\]\(\.\./(tests/[\w/]+\.py)\)", PAGE)


@pytest.mark.parametrize(("name", "file"), PROMISES)
def test_every_promise_has_its_test(name, file):
    assert f"\ndef {name}(" in (ROOT / file).read_text("utf-8")


def test_every_row_of_a_table_of_promises_has_one():
    cells = [line.split("|")[2].strip() for line in PAGE.splitlines() if line.startswith("| ")]
    heads = ("test", "---", "cases", "---:", "mutants")
    assert len([cell for cell in cells if cell not in heads and not cell.isdigit()]) == len(PROMISES)


def collect_the_hostile_calls():
    os.chdir(ROOT)
    sys.exit(pytest.main(["-q", "--collect-only", "tests/hostile", "-p", "no:cacheprovider"]))


def test_the_hostile_calls_are_counted(tmp_path):
    exit_code, listed = in_a_process_of_its_own(collect_the_hostile_calls, tmp_path)
    assert exit_code == 0
    counts = {
        file: len(re.findall(rf"^{re.escape(file)}::", listed, re.M)) for file in re.findall(r"tests/hostile/\w+\.py", PAGE)
    }
    assert len(counts) == len(list((ROOT / "tests" / "hostile").glob("test_*.py")))
    for file, count in counts.items():
        assert re.search(rf"\({re.escape('../' + file)}\).*\| {count} \|", PAGE), (file, count)
    assert f"{sum(counts.values())} calls with wrong arguments" in PAGE
