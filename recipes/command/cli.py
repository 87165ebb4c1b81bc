"""The ``salreg`` command."""

import argparse
import logging
import shutil
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from salreg.recipes.command.watch import server
from salreg.recipes.training import config as configuration
from salreg.recipes.training import controls, run_folder
from salreg.recipes.training.compare import compare, table
from salreg.recipes.training.config import ConfigError
from salreg.recipes.training.run import callbacks, intervention, penalty, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code. Mistakes of the user's print one line, not a traceback."""
    options = _options(arguments)
    _quieten()
    try:
        options.verb(options)
    except (ConfigError, FileNotFoundError, FileExistsError) as error:
        print(f"salreg: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, SystemExit):  # Lightning turns the first into the second
        print("salreg: interrupted; what was written so far is kept.", file=sys.stderr)
        return 130
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Overrides may stand before and behind the options."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if any("=" not in one or one.startswith("-") for one in rest) or (rest and not hasattr(options, "overrides")):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.overrides = [*options.overrides, *rest]
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="salreg", description="Runnable trainings with saliency regularisation.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    ls = verbs.add_parser("ls", help="list the recipes")
    ls.set_defaults(verb=_ls)

    for name, verb, text in (
        ("run", _run, "train once and test"),
        ("compare", _compare, "train plainly and regularised, and print a table"),
        ("validate", _validate, "check a configuration and print it"),
    ):
        one = verbs.add_parser(name, help=text)
        one.add_argument("recipe", help="a name from `salreg ls`, or a YAML file")
        one.add_argument("overrides", nargs="*", metavar="key=value", help="for example saliency.weight=10 model=cnn")
        one.set_defaults(verb=verb)
        if name == "compare":
            one.add_argument("--seeds", type=_positive, default=1, help="seeds per arm (default: 1)")
            one.add_argument("--arms", type=_names, help="train these arms only, separated by commas: plain,regularised")
            one.add_argument("--controls", action="store_true", help="train with wrong marks, and with few, too")

    watch = verbs.add_parser("watch", help="serve a run folder to a browser on this machine, and reload its report as it grows")
    watch.add_argument("folder", type=Path, help="a run folder, as `salreg run` prints it")
    watch.add_argument("--port", type=int, default=0, help="a free one by default")
    watch.set_defaults(verb=_watch)

    _add_annotations(verbs.add_parser("annotations", help="check files of annotations, or carry them over to all images"))

    cp = verbs.add_parser("cp", help="copy a recipe's YAML, to edit and run it")
    cp.add_argument("recipe")
    cp.add_argument("destination", type=Path)
    cp.set_defaults(verb=_cp)
    return parser


def _add_annotations(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    check = verbs.add_parser("check", help="do they fit the images, and what do they look like?")
    check.set_defaults(verb=_check_annotations)
    propagate = verbs.add_parser("propagate", help="carry the marks of some images over to all others")
    propagate.add_argument("--out", type=Path, required=True, help="a new folder for the masks of all images")
    propagate.add_argument("--least-quality", type=float, default=0.6, help="IoU on held-out marked images (default: 0.6)")
    propagate.add_argument("--checkpoint", type=Path, help="of a run of image_folder: list first where it uses what was found")
    propagate.add_argument("--seed", type=int, default=0)
    propagate.set_defaults(verb=_propagate_annotations)
    for one in (check, propagate):
        one.add_argument("path", type=Path, help="a folder of masks, a CSV of boxes, or an annotation tool's file or folder")
        one.add_argument("--data", type=Path, required=True, help="the folder of the images")
        one.add_argument("--inside", choices=("spurious", "relevant"), default="spurious", help="what masks and boxes say")
        one.add_argument(
            "--category", action="append", default=[], metavar="NAME=SIDE", help="of files with labels: ruler=spurious"
        )
        one.add_argument(
            "--column", action="append", default=[], metavar="WHAT=NAME", help="of a CSV with other columns: image=patient"
        )
        one.add_argument("--strict", action="store_true", help="refuse what would be named, skipped and counted")
        one.add_argument("--sheet", type=Path, default=Path("contact_sheet.png"), help="where to draw them")


def _ls(options: argparse.Namespace) -> None:
    recipes = configuration.recipes()
    width = max(map(len, recipes))
    for name, path in recipes.items():
        print(f"{name:{width}}  {configuration.describe(path)}")


def _run(options: argparse.Namespace) -> None:
    config = configuration.load(options.recipe, options.overrides)
    folder = run_folder.create(Path(config.out), Path(options.recipe).stem)
    print(f"Writing to {folder}")
    results = run(config, folder)
    print(table({"test": [results]}, config.shown))
    for strip in sorted(folder.rglob("film_strip.png")):
        print(f"Picture: {strip}")
    _point_out(folder, config)


def _compare(options: argparse.Namespace) -> None:
    config, arms = configuration.load(options.recipe, options.overrides), options.arms
    if options.controls:
        controls.add_arms(config)
        arms = [*arms, *controls.ARMS] if arms else None
    folder = run_folder.create(Path(config.out), f"compare_{Path(options.recipe).stem}")
    print(f"Writing to {folder}")
    runs = compare(config, folder, options.seeds, arms)
    print(f"\n{table(runs, config.shown)}\n")
    if (folder / "comparison.png").is_file():
        print(f"Picture: {folder / 'comparison.png'}")
    _point_out(folder, config)


def _point_out(folder: Path, config: DictConfig) -> None:
    """Where to look."""
    if (folder / "report.html").is_file():
        print(f"Report, for a browser: {folder / 'report.html'}")
    if config.logger.name == "trackio":
        print(f"All runs so far: trackio show --project {config.logger.project}")


def _watch(options: argparse.Namespace) -> None:
    with server(options.folder, options.port) as serving:
        print(f"Serving {options.folder} at {serving.url} (Ctrl+C ends it)", flush=True)
        serving.serve_forever()


def _validate(options: argparse.Namespace) -> None:
    config = configuration.load(options.recipe, options.overrides)
    penalty(config)
    intervention(config)
    callbacks(config, Path(config.out))
    print(configuration.shown(config), end="")


def _check_annotations(options: argparse.Namespace) -> None:
    from salreg.recipes.command.annotations_check import check

    images, regions = _annotated_images(options)
    try:
        found = check(options.data, images, regions, options.sheet)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    print(found)
    if options.sheet.exists():
        print(f"Picture: {options.sheet}")
    if not found.marked and not found.nothing_marked:
        raise ConfigError("no image is left that somebody looked at.")


def _propagate_annotations(options: argparse.Namespace) -> None:
    from salreg.recipes.command.annotations_propagate import carry_over, model_of

    images, regions = _annotated_images(options)
    try:
        model = None if options.checkpoint is None else model_of(options.checkpoint)
        said = carry_over(
            options.data,
            images,
            regions,
            options.out,
            options.sheet,
            least_quality=options.least_quality,
            model=model,
            seed=options.seed,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    print(said)


def _annotated_images(options: argparse.Namespace) -> tuple[list[str], Any]:
    """The paths of the images, and the regions by name; what was left out of the file is in a check's findings."""
    from salreg.readers import SkippedAnnotations, read_annotations
    from salreg.recipes.command.annotations_check import images_below

    categories, columns = (
        dict(one.rsplit("=", 1) if "=" in one else (one, "spurious") for one in given)
        for given in (options.category, options.column)
    )
    images = images_below(options.data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore" if options.verb is _check_annotations else "default", SkippedAnnotations)
            return images, read_annotations(
                options.path, categories, inside=options.inside, columns=columns or None, strict=options.strict
            )
    except (ValueError, ModuleNotFoundError, PermissionError) as error:
        raise ConfigError(str(error)) from error


def _cp(options: argparse.Namespace) -> None:
    source = configuration.locate(options.recipe)
    destination: Path = options.destination
    if destination.is_dir():
        destination /= source.name
    if destination.exists():
        raise FileExistsError(f"{destination} exists already; nothing was written.")
    shutil.copyfile(source, destination)
    print(f"Copied to {destination}. Edit it, then: salreg run {destination}")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _quieten() -> None:
    """Keep Lightning's advertisements and advice for large trainings away from recipes that run on a laptop."""
    for message in (".*does not have many workers.*", ".*number of training batches.*", ".*LeafSpec.*"):
        warnings.filterwarnings("ignore", message)
    logging.getLogger("pytorch_lightning.utilities.rank_zero").addFilter(_is_salregs)


def _is_salregs(record: logging.LogRecord) -> bool:
    return record.levelno > logging.INFO or record.getMessage().startswith("salreg")


if __name__ == "__main__":
    sys.exit(main())
