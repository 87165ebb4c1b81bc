"""``salreg keys``: the arguments of what a group is passed to, and what their docstring says of them."""

import pytest

from salreg.recipes.command.cli import main
from salreg.recipes.training.config import PASSED_TO, arguments


@pytest.mark.parametrize("group", PASSED_TO)
def test_each_key_of_a_group_is_listed(group, capsys):
    assert main(["keys", group]) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = {line.partition("=")[0].partition(".")[2] for line in lines if line.startswith(f"{group}.")}
    assert listed == arguments(group)


def test_a_key_comes_with_its_default_and_its_meaning(capsys):
    main(["keys", "intervention"])
    said = capsys.readouterr().out
    assert "intervention.presence=null\n    The probability that the" in said
    assert "intervention.fill=diffusion\n" in said
    assert "intervention.seed=0\n    The seed of the random" in said


def test_an_unknown_group_is_named(capsys):
    with pytest.raises(SystemExit):
        main(["keys", "regulariser"])
    assert "invalid choice: 'regulariser'" in capsys.readouterr().err
