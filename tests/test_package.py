"""What is installed, and what importing costs."""

import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

try:
    import tomllib
except ImportError:  # Python 3.10
    tomllib = None

ROOT = Path(__file__).parent.parent


def imported(*lines):
    """The top-level packages that a new process has imported after each of these lines."""
    code = "import sys\n" + "".join(f"{line}\nprint(*{{name.partition('.')[0] for name in sys.modules}})\n" for line in lines)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [set(line.split()) for line in done.stdout.splitlines()]


def test_importing_the_library_imports_torch_when_a_name_is_used_and_neither_lightning_nor_wandb():
    names = "from salreg import AnnotatedDataset, SaliencyPenalty, annotations, attributions, losses, presets, scores"
    nothing, everything = imported("import salreg", names)
    assert not nothing & {"torch", "torchmetrics", "numpy"}
    assert not everything & {"pytorch_lightning", "lightning", "wandb", "matplotlib", "plotly", "omegaconf"}


def test_importing_the_callbacks_imports_what_lightning_does_and_salreg():
    without, with_salreg = imported("import pytorch_lightning", "import salreg.callbacks")
    assert with_salreg - without == {"salreg"}


def test_the_public_names_are_there_and_others_are_not():
    import salreg

    assert set(salreg.__all__) <= set(dir(salreg))
    assert all(getattr(salreg, name) is not None for name in salreg.__all__)
    assert salreg.data.AnnotatedDataset is salreg.AnnotatedDataset  # a module that nobody imported by name
    with pytest.raises(AttributeError, match="no attribute 'AnotatedDataset'"):
        _ = salreg.AnotatedDataset


@pytest.mark.skipif(tomllib is None, reason="tomllib comes with Python 3.11")
def test_every_folder_is_a_package_of_salreg():
    declared = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = {"salreg": "salreg", "callbacks": "salreg.callbacks", "recipes": "salreg.recipes", "configs": "salreg.configs"}
    found = {
        ".".join([package, *path.parent.relative_to(ROOT / folder).parts])
        for folder, package in folders.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert found == declared


def test_a_plain_install_puts_salreg_alone_into_site_packages(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    files = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=False).stdout.split("\n")
    if not any(files):
        pytest.skip("not a git checkout")
    for name in filter(None, files):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    # A setuptools that is new enough is at hand as a rule, and then pip need not get one.
    at_hand = find_spec("setuptools") is not None and int(metadata.version("setuptools").split(".")[0]) >= 77
    options = ["-q", "--no-deps", "--no-compile", *(["--no-build-isolation"] if at_hand else [])]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", target, source]
    subprocess.run(command, check=True, capture_output=True)
    assert {p.name for p in target.iterdir() if not p.name.endswith(".dist-info")} <= {"salreg", "bin"}
    code = "import salreg.callbacks, salreg.recipes.training.config as c; print(salreg.callbacks.__file__); print(*c.recipes())"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(target)!r}); {code}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert str(target) in done.stdout
    assert "decoy_mnist" in done.stdout
    assert (target / "salreg" / "py.typed").is_file()


def test_no_path_of_one_machine_is_in_the_repository():
    done = subprocess.run(
        ["git", "-C", ROOT, "grep", "-nIE", r"(^|[^.[:alnum:]_])/(work|root|home)/[a-z]", "--", ".", ":!tests/test_package.py"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == ""


@pytest.mark.skipif(tomllib is None, reason="tomllib comes with Python 3.11")
def test_version_and_keywords_are_cited_as_they_are():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {name: cited[name] for name in ("version", "license", "keywords")} == {
        name: project[name] for name in ("version", "license", "keywords")
    }


def test_the_ruff_of_the_hook_is_the_one_of_the_tests():
    (hooks,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert f"\nruff=={hooks['rev'].removeprefix('v')};" in (ROOT / "constraints.txt").read_text()
