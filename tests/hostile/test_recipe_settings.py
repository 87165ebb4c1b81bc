"""The same mistakes on the command line and in a YAML of one's own: refused before anything is built."""

import pytest
from hostile.refusal import refused

from salreg.recipes.command.cli import main
from salreg.recipes.training import config
from salreg.recipes.training.callbacks import callbacks

OVERRIDES = [
    ('regularizer.weight="1.0"', ["weight must be a finite number", "Remove the quotation marks"]),
    ("regularizer.weight=high", ["weight must be a finite number", "'high'"]),
    ("regularizer.weight=-1", ["weight must be a finite number of at least 0", "-1"]),
    ("regularizer.weight=.nan", ["weight must be a finite number", "nan"]),
    ("regularizer.every_n_steps=1.5", ["regularizer: every_n_steps must be a whole number", "1.5"]),
    ("regularizer.every_n_steps=0", ["every_n_steps must be a whole number of at least 1", "0"]),
    ("regularizer.warmup_steps=-5", ["regularizer: warmup_steps must be a whole number", "-5"]),
    ("regularizer.loss=null", ["attribution loss must be given by name", "None"]),
    ("regularizer.loss=rr", ["did you mean 'rrr'"]),
    ("regularizer.attribution=null", ["attribution must be given by name", "None"]),
    ("regularizer.attribution=gradcam", ["did you mean 'grad_cam'"]),
    ("regularizer.attribution.score=logit", ["did you mean 'target_logit'"]),
    ("intervention.fill=blurr", ["did you mean 'blur'"]),
    ("intervention.presence=2", ["presence must be a number in [0, 1]", "2"]),
    ("regularizer.intervene=yess", ["regularizer: intervene must be true, false or null", "'yess'"]),
    ("regularizer.compile=1", ["regularizer: compile must be True or False", "1"]),
    ("regularizer.max_samples=0", ["max_samples must be a whole number of at least 1", "0"]),
    ("regularizer.differentiation=exakt", ["differentiation must be auto", "'exakt'"]),
    ("regularizer.attribution.layer=net.1", ["The attribution input_gradient has no option 'layer'"]),
    ("regularizer.preset=5", ["preset must be given by name", "5"]),
    ("regularizer.preset=cdepp", ["did you mean 'cdep'"]),
    ("regularizer.preset={name: hint, frm: ranking}", ["no option 'frm'", "did you mean 'form'"]),
    ("snapshots.panel=2.5", ["snapshots.panel must be a whole number", "2.5"]),
    ("snapshots.panel=0", ["panel must be a whole number of at least 1", "0"]),
    ("snapshots.sanity=maybe", ["snapshots.sanity must be True or False", "'maybe'"]),
    ("snapshots.alerts.reliance=high", ["alerts: reliance", "'high'"]),
    ("snapshots.alerts.reliance=.nan", ["alerts: reliance", "nan"]),
    ("snapshots.alerts=0.2", ["snapshots.alerts must be a mapping", "0.2"]),
    ("snapshots.attributions=input_gradient", ["attributions must be a list of attributions", "write ['input_gradient']"]),
    ("snapshots.dir=elsewhere", ["no key 'snapshots.dir'"]),
    ("metrics.max_batche=1", ["did you mean 'metrics.max_batches'"]),
    ("metrics.max_batches=0", ["max_batches must be a whole number of at least 1", "0"]),
    ("regularizer.preset.layer=net.1", ["regularizer.preset.layer has no effect without a name"]),
    ("logger.offline=true", ["logger.offline has no effect with logger=trackio"]),
    ("seed=x", ["seed must be a whole number", "'x'"]),
    ("seed=1.5", ["seed must be a whole number", "1.5"]),
    ("seed=-1", ["seed must be a whole number of at least 0", "-1"]),
    ("data.batch_size=null", ["data.batch_size must be a whole number", "None"]),
    ("data.validation=-3", ["data.validation must be a whole number", "-3"]),
    ("data.decoy=maybe", ["data.decoy must be True or False", "'maybe'"]),
    ("data.carry_over=5", ["data.carry_over must be True or False", "5"]),
    ("data.marked=high", ["data.marked must be a finite number", "'high'"]),
    ("optimizer.lr=abc", ["optimizer.lr must be a finite number", "'abc'"]),
    ("optimizer.lr=.nan", ["optimizer.lr must be a finite number", "nan"]),
    ("optimizer.lr=.inf", ["optimizer.lr must be a finite number", "inf"]),
    ("logger.offline=5", ["logger.offline must be True or False", "5"]),
    ("shown=accuracy", ["shown must be a list", "write ['accuracy']"]),
    ("trainer.max_epochs=1.5", ["trainer.max_epochs must be a whole number", "1.5"]),
    ("trainer.max_epochs=many", ["trainer.max_epochs must be a whole number", "'many'"]),
    ("trainer.max_epoch=1", ["did you mean 'trainer.max_epochs'"]),
    ("optimizer=5", ["optimizer must be a mapping", "5"]),
    ("logger.project=${oc.env:SALREG_IS_NOT_SET}", ["logger.project", "SALREG_IS_NOT_SET"]),
    ("logger.project=${nothing.there}", ["logger.project", "nothing.there"]),
    ("out", ["key=value"]),
    ("out=[1", ["cannot be read"]),
]


def ready(*overrides, recipe="decoy_digits"):
    loaded = config.load(recipe, overrides)
    callbacks(loaded, config.Path(loaded.out))


@pytest.mark.parametrize(("override", "words"), OVERRIDES)
def test_an_override_is_refused_by_the_words_of_the_constructor(override, words):
    refused(lambda: ready(override), *words)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("weight: null", "every_n_steps: 1.5\n  weight: null", ["every_n_steps must be a whole number", "1.5"]),
        ("panel: 5 ", "panel: five ", ["snapshots.panel must be a whole number", "'five'"]),
        ("alerts: {}", "alerts: {reliance: high}", ["alerts: reliance", "'high'"]),
        ("alerts: {}", "alerts: [reliance]", ["snapshots.alerts must be a mapping", "reliance"]),
        ("lr: 0.01", "lr: 1e-3x", ["optimizer.lr must be a finite number", "'1e-3x'"]),
        ("sanity: true", "sanity: 'true'", ["snapshots.sanity must be True or False", "'true'"]),
        ("loss: rrr", "loss: []", ["attribution loss must be given by name"]),
        ("seed: 0", "seed: [0", ["not readable as YAML"]),
        ("seed: 0", "sede: 0", ["no key 'sede'", "did you mean 'seed'"]),
        ("recipe: decoy ", "recipe: 5 ", ["`recipe: 5` is unknown"]),
    ],
)
def test_a_yaml_of_ones_own_too(tmp_path, old, new, words):
    text = config.recipes()["decoy_digits"].read_text("utf-8")
    assert old in text
    (tmp_path / "mine.yaml").write_text(text.replace(old, new), "utf-8")
    refused(lambda: ready(recipe=str(tmp_path / "mine.yaml")), *words)


@pytest.mark.parametrize("text", ["", "- 1\n- 2\n", "just words", "\x00", "a: &a [*a]"])
def test_what_is_no_configuration_at_all_is_named(tmp_path, text):
    (tmp_path / "mine.yaml").write_text(text, "utf-8")
    refused(lambda: config.load(str(tmp_path / "mine.yaml")), "mine.yaml")


@pytest.mark.parametrize("recipe", ["", "decoy_digit", "nothing.yaml", "../decoy_digits", "decoy_digits.yml"])
def test_an_unknown_recipe_is_named_with_those_there_are(recipe):
    refused(lambda: config.load(recipe), "No recipe is called", "decoy_digits")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["validate", "decoy_digits", "regularizer.every_n_steps=1.5"], "regularizer: every_n_steps must be a whole number"),
        (["validate", "decoy_digits", "snapshots.alerts.reliance=high"], "alerts: reliance"),
        (["run", "decoy_digits", "seed=x"], "seed must be a whole number"),
        (["run", "decoy_digits", "trainer.accelerator=gpuu", "logger=none"], "gpuu"),
        (["run", "decoy_digits", "trainer.devices=0", "trainer.accelerator=cpu", "logger=none"], "devices=0"),
        (["compare", "decoy_digits", "arms=5"], "arms must be a mapping"),
        (["watch", "nothing"], "no folder nothing"),
        (["watch", ".", "--port", "70000"], "A port must be a number from 1 to 65535"),
    ],
)
def test_the_command_says_it_in_one_line(arguments, words, capsys):
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said
