"""The ``salreg`` command as a user types it."""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

import pytest
from drawn_less import all_of_it
from idx import write_idx
from omegaconf import OmegaConf
from two_processes import in_a_process_of_its_own

from salreg.propagation import PropagationError
from salreg.recipes.command.cli import main
from salreg.recipes.training import controls

FAST = [
    "trainer.max_epochs=1",
    "trainer.num_sanity_val_steps=0",
    "trainer.enable_progress_bar=false",
    "snapshots.panel=2",
    "snapshots.probes=[]",
    "snapshots.sanity=false",
    "trainer.limit_train_batches=3",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
    "trainer.log_every_n_steps=1",
]


def only(pattern, folder=Path()):
    (found,) = folder.glob(pattern)
    return found


def made(folder, verb, *arguments):
    """The folder that a command wrote below another, and what it printed."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main([verb, "decoy_digits", *FAST, *arguments, f"out={folder}"]) == 0
    return only("*/*", folder), printed.getvalue()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run with probes and with the checks of the maps and of the validation, and its numbers in a file."""
    whole = ["snapshots.probes=null", "snapshots.sanity=true", "trainer.num_sanity_val_steps=2"]
    with all_of_it():
        return made(tmp_path_factory.mktemp("finished"), "run", *whole, "logger=csv")


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A comparison of two arms, each of two seeds."""
    arms = ["--seeds", "2", "--arms", "plain,regularised"]
    return made(tmp_path_factory.mktemp("compared"), "compare", "logger=none", *arms)


def test_ls_names_the_recipes(capsys):
    assert main(["ls"]) == 0
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()} == {
        "bias_audit", "color_mnist", "compas", "decoy_cifar", "decoy_digits", "decoy_fashion_mnist", "decoy_mnist",
        "hospital_tag", "image_folder", "iris_cancer", "isic", "llm", "movies", "qa", "sst_decoy", "summary", "table",
        "text_classification", "toy_colors", "waterbirds",
    }  # fmt: skip


def test_run_writes_one_folder_with_everything(finished):
    folder, printed = finished
    results = json.loads((folder / "results.json").read_text())
    assert {"test/accuracy", "test/worst_group_accuracy", "test/spurious_saliency", "test/reliance"} <= set(results)
    assert {"test/reliance_content", "test/reliance_removal", "test/accuracy_under_intervention"} <= set(results)
    assert {"seconds", "versions", "git_commit"} <= set(results)
    assert "intervene: null" in (folder / "config.yaml").read_text()
    assert (folder / "checkpoints" / "last.ckpt").is_file()
    assert (folder / "snapshots" / "input_gradient" / "film_strip.png").is_file()
    assert "salreg/penalty" in (folder / "logs" / "metrics.csv").read_text()
    report = folder / "report.html"
    assert report.stat().st_size > 1_000_000  # plotly is in it
    assert "On the test data" in report.read_text()
    assert str(report) in printed


def test_two_runs_never_share_a_folder(finished):
    first = finished[0]
    before = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    assert main(["run", "decoy_digits", *FAST, "logger=none", f"out={first.parents[1]}"]) == 0
    assert len(list(first.parent.iterdir())) == 2
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*")} == before


def test_overrides_may_stand_behind_options(capsys):
    assert main(["compare", "decoy_digits", "--arms", "plain", *FAST, "data.validation=100", "--seeds", "1"]) == 0
    assert OmegaConf.load(next(Path("runs").rglob("config.yaml"))).data.validation == 100
    for wrong in (["ls", "a=b"], ["run", "decoy_digits", "--arm=b"]):
        with pytest.raises(SystemExit, match="2"):
            main(wrong)


def test_a_preset_from_the_command_line():
    assert main(["run", "decoy_digits", *FAST, "regularizer.preset=actdiff", "regularizer.preset.layer=net.2"]) == 0
    assert "name: actdiff" in only("runs/decoy_digits/*/config.yaml").read_text()


def test_compare_prints_a_table_and_writes_every_run(compared):
    folder, printed = compared
    runs = json.loads((folder / "compare.json").read_text())
    assert {arm: len(results) for arm, results in runs.items()} == {"plain": 2, "regularised": 2}
    assert (folder / "comparison.png").stat().st_size > 10_000
    assert any(line.startswith("plain") and "±" in line for line in printed.splitlines())
    configs = [OmegaConf.load(path) for path in sorted(folder.rglob("config.yaml"))]
    assert [(one.regularizer.weight, one.seed) for one in configs] == [(0, 0), (0, 1), (None, 0), (None, 1)]


@pytest.mark.parametrize("recipe", ["decoy_mnist", "decoy_fashion_mnist"])
def test_recipes_on_idx_files(tmp_path, recipe):
    root = write_idx(tmp_path / "idx")
    assert main(["run", recipe, f"data.root={root}", "data.validation=4", "model=cnn", *FAST]) == 0


@pytest.mark.parametrize(
    "recipe",
    [
        "compas",
        "decoy_cifar",
        "decoy_cifar model=vit",
        "decoy_cifar data.kind=half",
        "hospital_tag data.samples=300 data.validation=100",
        "iris_cancer",
        "movies",
        "sst_decoy",
        "sst_decoy model=transformer",
        "toy_colors",
        "waterbirds",
    ],
)
def test_recipes_on_a_made_sample(recipe):
    name, *overrides = recipe.split()
    assert main(["run", name, *overrides, *FAST, "snapshots.probes=null"]) == 0
    assert only(f"runs/{name}/*/snapshots/*/film_strip.png").stat().st_size > 10_000


def test_grad_cam_from_the_command_line():
    options = [
        "regularizer.attribution=grad_cam",
        "regularizer.attribution.layer=net.3",
        "regularizer.attribution.score=target_logit",
        "regularizer.loss=energy",
    ]
    assert main(["run", "decoy_digits", "model=cnn", *options, *FAST]) == 0
    assert only("runs/decoy_digits/*/snapshots/*/").name == "grad_cam_net-3"


@pytest.mark.parametrize("logger", ["tensorboard", "none"])
def test_other_loggers(logger):
    assert main(["run", "decoy_digits", f"logger={logger}", *FAST]) == 0


def test_wandb_offline_needs_no_account(monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    assert main(["run", "decoy_digits", "logger=wandb", "logger.offline=true", *FAST]) == 0
    assert list(Path("runs").rglob("*.wandb"))


def test_an_interrupted_run_says_so_and_keeps_what_it_wrote(monkeypatch, capsys):
    def interrupt(self, *_):
        if self.current_epoch == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr("salreg.recipes.networks.classifier.Classifier.on_train_epoch_start", interrupt, raising=False)
    assert main(["run", "decoy_digits", *FAST, "trainer.max_epochs=3"]) == 130
    assert "interrupted; everything written so far is kept" in capsys.readouterr().err
    assert only("runs/decoy_digits/*/checkpoints/last.ckpt").is_file()


def test_every_run_of_a_comparison_is_a_run_of_its_own_in_wandb(monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    options = ["logger=wandb", "logger.offline=true", *FAST, "--arms", "plain,regularised"]
    assert main(["compare", "decoy_digits", *options]) == 0
    assert len(list(Path("runs").rglob("*.wandb"))) == 2


def test_a_run_goes_on_from_a_checkpoint(finished):
    checkpoint = finished[0] / "checkpoints" / "last.ckpt"
    assert main(["run", "decoy_digits", *FAST, "trainer.max_epochs=2", f"resume={checkpoint}", "out=again"]) == 0
    assert (only("again/decoy_digits/*") / "results.json").is_file()


def test_cp_and_run_the_copy(tmp_path, capsys):
    assert main(["cp", "decoy_digits", "mine.yaml"]) == 0
    assert main(["validate", "mine.yaml", "regularizer.weight=3"]) == 0
    assert "weight: 3" in capsys.readouterr().out
    assert main(["run", "mine.yaml", *FAST]) == 0
    assert list(Path("runs/mine").iterdir())


def test_what_cp_says_to_run_is_quoted(capsys):
    assert main(["cp", "decoy_digits", "my own.yaml"]) == 0
    assert "salreg run 'my own.yaml'" in capsys.readouterr().out


def test_cp_never_overwrites(capsys):
    Path("mine.yaml").write_text("precious")
    assert main(["cp", "decoy_digits", "mine.yaml"]) == 2
    assert Path("mine.yaml").read_text() == "precious"
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "decoy_digit"], "did you mean 'decoy_digits'"),
        (["run", "decoy_digits", "regularizer.wieght=1"], "did you mean 'regularizer.weight'"),
        (["run", "decoy_digits", "logger=wandbb"], "did you mean 'wandb'"),
        (["run", "decoy_digits", "regularizer.loss=rr"], "did you mean 'rrr'"),
        (["run", "decoy_digits", "model=vgg"], "not 'vgg'"),
        (["run", "decoy_mnist", "data.root=nowhere", "data.download=false"], "is not in nowhere"),
        (["compare", "decoy_digits", "--arms", "plainn"], "did you mean 'plain'"),
        (["compare", "compas", "--controls"], "compas has no data.control, data.marked"),
        (["validate", "decoy_digits", "regularizer.attribution.layer=net.1"], "has no option 'layer'"),
        (["validate", "decoy_digits", "regularizer.attribution=gradcam"], "did you mean 'grad_cam'"),
        (["validate", "decoy_digits", "regularizer.preset=cdepp"], "did you mean 'cdep'"),
        (["run", "decoy_digits", "regularizer.preset=hint"], "has no convolution to read saliency at"),
        (["run", "decoy_digits", "data.marks=all"], "data.marks must be spurious, relevant or both"),
    ],
)
def test_mistakes_cost_one_line_and_no_traceback(arguments, message, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def run_with_wandb():
    sys.exit(main(["run", "decoy_digits", *FAST, "logger=wandb"]))


def test_wandb_without_a_key_or_a_terminal_says_what_to_do(tmp_path):
    """In a process of its own: W&B remembers the offline runs of this one."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("WANDB_")}
    exit_code, printed = in_a_process_of_its_own(run_with_wandb, tmp_path, environment | {"NETRC": str(tmp_path / "none")})
    assert exit_code != 0
    assert "W&B cannot start" in printed
    assert "logger.offline=true" in printed
    assert "Traceback" not in printed


def test_trackio_is_the_default_and_the_way_to_look_is_printed(capsys):
    assert main(["run", "decoy_digits", *FAST]) == 0
    assert "trackio show --project salreg" in capsys.readouterr().out


def test_controls_are_trained_too_and_those_that_carry_over_too_little_are_left_out(monkeypatch, capsys):
    def refuse(*_, **__):
        raise PropagationError("Too few marks.")

    monkeypatch.setattr("salreg.recipes.data.few_marks.propagate", refuse)
    arms = ["--arms", "plain,without decoys", "--controls"]
    assert main(["compare", "decoy_digits", *FAST, *arms, "logger=none"]) == 0
    runs = json.loads(only("runs/compare_decoy_digits/*/compare.json").read_text())
    left_out = {"a tenth carried over", "a hundredth carried over"}
    assert set(runs) == {"plain", "without decoys", *controls.ARMS} - left_out
    printed = capsys.readouterr().out
    assert "a tenth carried over, seed 0, is left out: Too few marks." in printed
    assert "cannot be carried over (see above): a tenth carried over, a hundredth carried over." in printed
    assert "gap recovered" in printed
    written = {path.parts[-3]: OmegaConf.load(path).data for path in Path("runs").rglob("config.yaml")}
    assert written["everything_marked"].control == "everything"
    assert written["a_hundredth_of_the_marks"].marked == 0.01


def test_compare_writes_one_report_of_the_same_samples(compared):
    page = (compared[0] / "report.html").read_text()
    assert page.count("<h2>Where the model looks") == 1
    assert "On the test data" in page
    assert "plain → regularised, at their ends: spurious saliency" in page
    assert "plain: " in page
    assert "regularised: " in page
    assert '<th scope="col">reliance removal</th>' in page
