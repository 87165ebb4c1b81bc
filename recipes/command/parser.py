"""The verbs and options of the ``salreg`` command; the function that runs a verb is written ``module:function``."""

import argparse
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from salreg.names import nearest
from salreg.recipes.command import completion


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The parsed options; ``overrides`` (``key=value``) may come before and after other options.

    Raises:
        SystemExit: The arguments are invalid, or the help or the version was requested; the message is printed.
    """
    parser = make_parser()
    completion.answer(parser)
    options, rest = parser.parse_known_args(arguments)
    if any("=" not in one or one.startswith("-") for one in rest) or (rest and not hasattr(options, "overrides")):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.overrides = [*options.overrides, *rest]
    return options


class _Verbs(argparse.ArgumentParser):
    """A parser that suggests the nearest verb."""

    verbs: argparse.Action | None = None

    def error(self, message: str) -> object:  # type: ignore[override]
        known = list(self.verbs.choices or ()) if self.verbs else []
        _, found, wrong = message.partition("invalid choice: ")
        if known and found:
            name = wrong.partition(" ")[0].strip("'")
            message = f"there is no verb {name!r}{nearest(name, known)}. There are: {', '.join(known)}."
        return super().error(message)


class _Version(argparse.Action):
    """Print the version, which is looked up only when it is requested."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"salreg {version('salreg')}")
        parser.exit()


def make_parser() -> argparse.ArgumentParser:
    """All verbs and their options."""
    parser = _Verbs(prog="salreg", description="Runnable trainings with saliency regularisation.")
    parser.add_argument("--version", nargs=0, action=_Version, help="print the version and exit")
    verbs = parser.add_subparsers(required=True, metavar="VERB", parser_class=argparse.ArgumentParser)
    parser.verbs = verbs
    _add(verbs, "ls", "listing:ls", "list the recipes")
    for name, text in (
        ("run", "train once and test"),
        ("compare", "train with and without regularisation, and print a table"),
        ("validate", "check a configuration and print it"),
    ):
        one = _add(verbs, name, f"trainings:{name}", text)
        _recipe(one)
        overrides = one.add_argument(
            "overrides", nargs="*", metavar="key=value", help="for example regularizer.weight=10 model=cnn"
        )
        completion.complete(overrides, completion.keys)
        if name == "compare":
            one.add_argument("--seeds", type=_positive, default=1, help="seeds per arm (default: 1)")
            one.add_argument("--arms", type=_names, help="train only these arms, separated by commas: plain,regularised")
            one.add_argument("--controls", action="store_true", help="also train with wrong marks and with few marks")

    one = _add(verbs, "keys", "keys:keys", "list the keys of a group of a YAML and explain them")
    one.add_argument("group", choices=("regularizer", "intervention", "metrics", "snapshots", "trainer"))

    new = _add(verbs, "new", "new:new", "create a folder to start from: images with marks, a module, a training script, a YAML")
    new.add_argument("folder", type=Path, help="where to write it; it must not exist yet")

    watch = _add(verbs, "watch", "watch:watch", "show a run folder in a browser on this machine, and reload it as it grows")
    watch.add_argument("folder", type=Path, help="a run folder, as printed by `salreg run`")
    watch.add_argument("--port", type=int, default=0, help="the port; by default a free one")

    audit = _add(
        verbs, "audit", "audit:audit", "measure what a finished run on texts or a table relies on, and for which groups it errs"
    )
    audit.add_argument(
        "run",
        type=Path,
        help="the folder of a run, of an arm of a comparison, or of a whole comparison; if a second is given, this is the "
        "one before",
    )
    audit.add_argument("after", type=Path, nargs="?", help="another run on the same data, to compare with it")
    audit.add_argument("--lexicon", type=Path, help="a YAML {axis: {group: [term, ...]}}; by default the marked words")
    audit.add_argument("--positive", help="the class whose probability is tracked; by default the second")
    audit.add_argument("--pairs", type=_positive, default=12, help="counterfactual pairs to show (default: 12)")
    audit.add_argument("--out", type=Path, help="a new folder; by default inside the last run")
    audit.add_argument("--seed", type=int, default=0)

    _add_annotations(verbs.add_parser("annotations", help="check files of annotations, or carry them over to all images"))

    cp = _add(verbs, "cp", "listing:cp", "copy a recipe's YAML, to edit and run it")
    _recipe(cp)
    cp.add_argument("destination", type=Path)

    shell = _add(verbs, "completion", "completion:show", "print the code that makes a shell complete verbs, recipes and keys")
    shell.add_argument("shell", choices=completion.SHELLS, help='in ~/.bashrc: eval "$(salreg completion bash)"')
    return parser


def _add_annotations(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    check = _add(verbs, "check", "annotated:check", "check that annotations fit the images, and draw them")
    propagate = _add(verbs, "propagate", "annotated:propagate", "carry the marks of some images over to all others")
    propagate.add_argument("--out", type=Path, required=True, help="a new folder for the masks of all images")
    propagate.add_argument(
        "--least-quality", type=float, default=0.4, help="smallest IoU on held-out marked images (default: 0.4)"
    )
    propagate.add_argument(
        "--checkpoint",
        type=Path,
        help="a checkpoint of a run of image_folder: list first the images in which it uses what was found",
    )
    propagate.add_argument("--seed", type=int, default=0)
    for one in (check, propagate):
        one.add_argument("path", type=Path, help="a folder of masks, a CSV of boxes, or an annotation tool's file or folder")
        one.add_argument("--data", type=Path, required=True, help="the folder of the images")
        one.add_argument("--inside", choices=("spurious", "relevant"), default="spurious", help="the mark of masks and boxes")
        one.add_argument(
            "--category", action="append", default=[], metavar="NAME=SIDE", help="for files with labels: ruler=spurious"
        )
        one.add_argument(
            "--column",
            action="append",
            default=[],
            metavar="WHAT=NAME",
            help="for a CSV with other column names: image=patient",
        )
        one.add_argument("--line-width", type=float, default=3, help="width of lines, in pixels of the image (default: 3)")
        one.add_argument(
            "--strict", action="store_true", help="refuse faulty annotations instead of naming, skipping and counting them"
        )
        one.add_argument("--sheet", type=Path, default=Path("contact_sheet.png"), help="where to save the picture of the marks")


def _add(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, verb: str, text: str
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(verb=verb)
    return parser


def _recipe(parser: argparse.ArgumentParser) -> None:
    completion.complete(parser.add_argument("recipe", help="a name from `salreg ls`, or a YAML file"), completion.recipes)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number
