from pathlib import Path

import pytest

from salreg.callbacks import SaliencyMetrics, SaliencyRegularizer, SaliencySnapshots
from salreg.recipes.training import config
from salreg.recipes.training.callbacks import callbacks
from salreg.recipes.training.config import ConfigError, load


@pytest.mark.parametrize("name", config.recipes())
def test_every_recipe_loads_and_says_what_it_is_and_how_to_run_it(name):
    path = config.recipes()[name]
    assert len(config.describe(path)) > 40
    assert f"# Run:      salreg run {name}" in path.read_text()
    assert load(name).seed == 0


def test_overrides_keep_their_types():
    loaded = load(
        "decoy_digits", ["regularizer.weight=1e-3", "logger=wandb", "logger.offline=true", "resume=null", "data.root=a b"]
    )
    assert (loaded.regularizer.weight, loaded.logger.offline, loaded.resume, loaded.data.root) == (1e-3, True, None, "a b")


def test_categories_may_have_any_name():
    given = ["data.categories={No finding: spurious, a.b: relevant, 15: spurious}", "data.columns={x: 'Bbox [x'}"]
    data = load("image_folder", given).data
    assert dict(data.categories) == {"No finding": "spurious", "a.b": "relevant", "15": "spurious"}
    assert dict(data.columns) == {"x": "Bbox [x"}


def test_a_group_is_named_by_itself():
    loaded = load("decoy_digits", ["logger=wandb", "model=cnn"])
    assert (loaded.logger.name, loaded.model.name) == ("wandb", "cnn")


def test_any_argument_of_the_trainer_can_be_given():
    assert load("decoy_digits", ["trainer.precision=bf16-mixed"]).trainer.precision == "bf16-mixed"


@pytest.mark.parametrize(
    ("recipe", "overrides", "message"),
    [
        ("decoy_digit", [], "No recipe is called 'decoy_digit' .did you mean 'decoy_digits'"),
        ("missing.yaml", [], "No recipe is called 'missing.yaml', and there is no such file"),
        ("decoy_digits", ["regularizer.wieght=1"], "no key 'regularizer.wieght' .did you mean 'regularizer.weight'"),
        ("decoy_digits", ["penalty.weight=1"], "no key 'penalty.weight' .did you mean 'regularizer.weight'"),
        ("decoy_digits", ["metrics.max_batch=1"], "`salreg keys metrics` lists all of this group"),
        ("decoy_digits", ["trainer.max_epoch=1"], "no key 'trainer.max_epoch' .did you mean 'trainer.max_epochs'"),
        ("decoy_digits", ["regularizer.weight"], "not of the form key=value"),
        ("decoy_digits", ["out=[1"], "cannot be read"),
    ],
)
def test_mistakes_are_named_with_the_nearest_names(recipe, overrides, message):
    with pytest.raises(ConfigError, match=message):
        load(recipe, overrides)


def edited(tmp_path, old, new):
    path = tmp_path / "mine.yaml"
    path.write_text(config.recipes()["decoy_digits"].read_text().replace(old, new))
    return str(path)


def test_a_copied_yaml_is_checked_against_its_recipe(tmp_path):
    assert load(edited(tmp_path, "weight: null", "weight: 5.0")).regularizer.weight == 5.0
    with pytest.raises(ConfigError, match="no key 'regularizer.weigth' .did you mean 'regularizer.weight'"):
        load(edited(tmp_path, "weight: null", "weigth: 5.0"))
    with pytest.raises(ConfigError, match="key 'seed' is missing"):
        load(edited(tmp_path, "seed: 0", "# seed: 0"))
    with pytest.raises(ConfigError, match="`recipe: decoi` is unknown. There are: bias_audit, color_mnist, "):
        load(edited(tmp_path, "recipe: decoy ", "recipe: decoi "))
    with pytest.raises(ConfigError, match="not readable as YAML"):
        load(edited(tmp_path, "seed: 0", "seed: [0"))


def test_alerts_are_called_by_any_name():
    assert load("decoy_digits", ["snapshots.alerts.reliance=0.2"]).snapshots.alerts == {"reliance": 0.2}
    assert load("decoy_digits", ["snapshots.alerts={a/b: 1}"]).snapshots.alerts == {"a/b": 1}
    with pytest.raises(ConfigError, match=r"no key 'snapshots.alert.reliance'"):
        load("decoy_digits", ["snapshots.alert.reliance=0.2"])


def added(overrides, recipe="decoy_digits"):
    """The three callbacks that a configuration adds."""
    made = callbacks(load(recipe, overrides), Path("runs"))
    kinds = (SaliencyRegularizer, SaliencyMetrics, SaliencySnapshots)
    return [next(one for one in made if type(one) is kind) for kind in kinds]


def test_the_arguments_of_a_callback_are_the_keys_of_its_group():
    given = ["regularizer.forward_module=net", "metrics.max_batches=3", "snapshots.probes=[occlusion]"]
    regularizer, metrics, snapshots = added(given)
    assert regularizer.forward_module == "net"
    assert metrics.max_batches == 3
    assert [type(probe).__name__ for probe in snapshots.probes] == ["Occlusion"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["regularizer.preset=cdep", "regularizer.loss=energy"],
            "regularizer.loss has no effect with regularizer.preset",
        ),
        (["regularizer.preset=cdep", "intervention.fill=mean"], "intervention.fill has no effect without an intervention"),
        (
            ["regularizer.intervene=false", "intervention.presence=0.5"],
            "intervention.presence has no effect without an intervention",
        ),
        (
            ["regularizer.preset.layer=net.1"],
            "regularizer.preset.layer has no effect without a name. Add regularizer.preset=NAME",
        ),
        (["logger=csv", "logger.offline=true"], "logger.offline has no effect with logger=csv"),
    ],
)
def test_a_setting_without_effect_is_refused(overrides, message):
    with pytest.raises(ConfigError, match=message):
        load("decoy_digits", overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        ["regularizer.preset=cdep", "regularizer.intervene=true", "intervention.fill=mean"],
        ["regularizer.preset=cdep"],
        ["regularizer.preset=cdep", "seed=1"],
        ["regularizer.intervene=false", "seed=1"],
        ["regularizer.preset=hint", "regularizer.preset.layer=net.1"],
    ],
)
def test_what_a_recipe_brings_along_is_no_such_setting(overrides):
    assert load("movies", overrides).regularizer.loss == "energy"


@pytest.mark.parametrize(
    ("override", "expected"), [("seed=0", 0), ("regularizer.every_n_steps=4", 100), ("regularizer.loss=energy", 1)]
)
def test_a_setting_of_the_penalty_asks_for_one(override, expected):
    assert added([override])[0].weight == expected


def test_what_has_a_name_has_options():
    given = ["regularizer.attribution=grad_cam", "regularizer.attribution.layer=net.1", "regularizer.loss.normalize=max"]
    regularizer, metrics, _ = added(given)
    assert regularizer.penalty.attribution.layers == metrics.attribution.layers == ["net.1"]
    assert regularizer.penalty.loss.normalize == "max"
    assert added(["regularizer.attribution={name: grad_cam, layer: net.1}"])[0].penalty.attribution.layers == ["net.1"]


def test_a_name_by_itself_stands_for_its_defaults():
    assert added([], "movies")[1].attribution.score.__name__ == "target_logit"
    assert added(["regularizer.attribution=input_gradient"], "movies")[1].attribution.score.__name__ == "log_prob_sum"


def test_measured_is_what_is_regularised_unless_said_otherwise():
    assert type(added(["metrics.attribution=occlusion"])[1].attribution).__name__ == "Occlusion"
    assert type(added(["regularizer.attribution=occlusion"])[1].attribution).__name__ == "Occlusion"
