"""``salreg run``, ``salreg compare`` and ``salreg validate``."""

import argparse
from pathlib import Path

from omegaconf import DictConfig

from salreg.recipes.training import config as configuration
from salreg.recipes.training import controls, run_folder
from salreg.recipes.training.compare import compare as compare_arms
from salreg.recipes.training.compare import planned
from salreg.recipes.training.run import check_settings, seeded
from salreg.recipes.training.run import run as train
from salreg.recipes.training.table import table


def run(options: argparse.Namespace) -> None:
    """Train once and test, in a new folder."""
    config = configuration.load(options.recipe, options.overrides)
    check_settings(config)
    experiment = seeded(config)
    with run_folder.made(Path(config.out), Path(options.recipe).stem) as folder:
        print(f"Writing to {folder}")
        results = train(config, folder, experiment)
    print(table({"test": [results]}, config.shown))
    for strip in sorted(folder.rglob("film_strip.png")):
        print(f"Picture: {strip}")
    _point_out(folder, config)


def compare(options: argparse.Namespace) -> None:
    """Train each arm with each seed, and print a table."""
    config, arms = configuration.load(options.recipe, options.overrides), options.arms
    if options.controls:
        controls.add_arms(config)
        arms = [*arms, *controls.ARMS] if arms else None
    for _, _, one in planned(config, 1, arms):
        check_settings(one)
    with run_folder.made(Path(config.out), f"compare_{Path(options.recipe).stem}") as folder:
        print(f"Writing to {folder}")
        runs = compare_arms(config, folder, options.seeds, arms)
    print(f"\n{table(runs, config.shown)}\n")
    if left_out := [arm for arm in map(str, arms or config.arms) if arm not in runs]:
        print(f"Left out, because their marks cannot be carried over (see above): {', '.join(left_out)}.")
    if said := controls.told(runs):
        print(said)
    if (folder / "comparison.png").is_file():
        print(f"Picture: {folder / 'comparison.png'}")
    _point_out(folder, config)


def validate(options: argparse.Namespace) -> None:
    """Check a configuration and print it."""
    config = configuration.load(options.recipe, options.overrides)
    check_settings(config)
    print(configuration.shown(config), end="")


def _point_out(folder: Path, config: DictConfig) -> None:
    """Where to look."""
    if (folder / "report.html").is_file():
        print(f"Report, for a browser: {folder / 'report.html'}")
    if config.logger.name == "trackio":
        print(f"All runs so far: trackio show --project {config.logger.project}")
