"""The runs that `salreg audit` gets: a run, an arm with its seeds, or a whole comparison."""

import os
from pathlib import Path

from salreg.recipes.training.packaged import ConfigError

#: The arms of a comparison that are shown side by side.
_ARMS = ("plain", "regularised")


def kinds(run: Path, after: Path | None) -> dict[str, list[Path]]:
    """The run folders of each kind of training by name: one kind, or two (before and after).

    Args:
        run: The folder of a run, of an arm of `salreg compare` with a folder per seed, or of a whole comparison, whose arms
            ``plain`` and ``regularised`` are then taken.
        after: Another run or arm.

    Raises:
        ConfigError: A folder is given twice, or a comparison lacks these arms; the message lists its arms.
    """
    if after is None and (arms := _arms(run)):
        if not set(_ARMS) <= set(arms):
            raise ConfigError(f"{run} has the arms {', '.join(arms)}. Name one or two: salreg audit {run / arms[0]}.")
        return {arm: _seeds(run / arm) for arm in _ARMS}
    folders = [run, *([after] if after else [])]
    whole = [folder for folder in folders if _arms(folder)]
    if whole:
        arms = _arms(whole[0])
        raise ConfigError(f"{whole[0]} is a comparison of {', '.join(arms)}. Name its arms: {whole[0] / arms[0]}.")
    return {name: _seeds(folder) or [folder] for name, folder in zip(_names(folders), folders, strict=True)}


def _arms(folder: Path) -> list[str]:
    """The arms of a comparison; empty if the folder is not one."""
    inner = sorted(one for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else []
    return [one.name for one in inner if _seeds(one)]


def _seeds(folder: Path) -> list[Path]:
    """The runs of an arm, which has a folder for each seed."""
    return sorted((one.parent for one in folder.glob("seed_*/config.yaml")), key=lambda one: (len(one.name), one.name))


def _names(folders: list[Path]) -> list[str]:
    """Names for the folders: the parts of their paths that differ."""
    if len(folders) == 1:
        return [folders[0].resolve().name]
    paths = [folder.resolve() for folder in folders]
    common = Path(os.path.commonpath(paths))
    names = [path.relative_to(common).parts for path in paths]
    while all(len(one) > 1 for one in names) and names[0][-1] == names[1][-1]:
        names = [one[:-1] for one in names]
    if names[0] == names[1]:
        raise ConfigError(f"{folders[0]} is given twice; before and after must be two runs.")
    return ["/".join(one) or path.name for one, path in zip(names, paths, strict=True)]
