"""What asks for nothing but names is answered at once: the libraries that train are imported by the verbs that train."""

import os
import subprocess
import sys

import pytest

from salreg.recipes.command.cli import main

SLOW = ("torch", "pytorch_lightning", "lightning", "matplotlib", "plotly", "wandb", "omegaconf", "numpy", "PIL")
COMMAND = "import sys; from salreg.recipes.command.cli import main; sys.exit(main({!r}))"


def imported(code):
    """Those of the slow libraries that a new process imports."""
    code = (
        f"import atexit, sys; atexit.register(lambda: print([m for m in {SLOW} if m in sys.modules], file=sys.stderr))\n{code}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["ls"], ["run", "--help"], ["cp", "decoy_digits", "x.yaml"], ["rn"]]
)
def test_a_verb_that_trains_nothing_imports_nothing_that_trains(arguments):
    assert imported(COMMAND.format(arguments)) == "[]"


def completions(line):
    """What a shell is offered at the end of a line; argcomplete answers on the file descriptor 8."""
    reading, writing = os.pipe()
    environment = {**os.environ, "_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    command = f"import os; os.dup2({writing}, 8); import salreg.recipes.command.__main__"
    subprocess.run([sys.executable, "-c", command], env=environment, pass_fds=[writing], capture_output=True, check=False)
    os.close(writing)
    with os.fdopen(reading) as answers:
        return answers.read().split()


def test_a_shell_completes_verbs_recipes_and_keys():
    assert completions("salreg comp") == ["compare", "completion"]
    assert completions("salreg run decoy_f") == ["decoy_fashion_mnist"]
    assert completions("salreg run decoy_digits regularizer.w") == ["regularizer.weight="]
    assert completions("salreg run nothing regularizer.w") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_a_shell_is_printed(shell, capsys):
    assert main(["completion", shell]) == 0
    assert "salreg" in capsys.readouterr().out


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out.startswith("salreg 0.")
