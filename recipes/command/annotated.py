"""``salreg annotations check`` and ``salreg annotations propagate``."""

import argparse
import warnings

from salreg.readers import Readings, SkippedAnnotations, read_annotations
from salreg.recipes.command import annotations_check, annotations_propagate
from salreg.recipes.training.packaged import ConfigError


def check(options: argparse.Namespace) -> None:
    """Report whether annotations fit the images, and draw some of them."""
    images, regions = _annotated_images(options, told=False)
    try:
        found = annotations_check.check(options.data, images, regions, options.sheet)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    print(found)
    if options.sheet.exists():
        print(f"Picture: {options.sheet}")
    if not found.marked and not found.nothing_marked:
        raise ConfigError("there is no image left that somebody looked at.")


def propagate(options: argparse.Namespace) -> None:
    """Write masks for all images, based on those of some."""
    images, regions = _annotated_images(options)
    try:
        model = None if options.checkpoint is None else annotations_propagate.model_of(options.checkpoint)
        said = annotations_propagate.carry_over(
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


def _annotated_images(options: argparse.Namespace, told: bool = True) -> tuple[list[str], Readings]:
    """The paths of the images, and the regions by name; ``told`` warns of skipped annotations, which a check lists itself."""
    categories, columns = (
        dict(one.rsplit("=", 1) if "=" in one else (one, "spurious") for one in given)
        for given in (options.category, options.column)
    )
    images = annotations_check.images_below(options.data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default" if told else "ignore", SkippedAnnotations)
            return images, read_annotations(
                options.path,
                categories,
                inside=options.inside,
                columns=columns or None,
                images=options.data,
                line_width=options.line_width,
                strict=options.strict,
            )
    except (ValueError, PermissionError) as error:
        raise ConfigError(str(error)) from error
