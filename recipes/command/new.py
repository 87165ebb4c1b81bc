"""``salreg new``: creates a folder to start from."""

import argparse
import shlex
import shutil
from importlib.resources import as_file, files
from pathlib import Path

from salreg.recipes.command import made_tags
from salreg.recipes.data.paths import nearest_path


def new(options: argparse.Namespace) -> None:
    """Write the folder, and say what to do next."""
    write(options.folder)
    print(
        f"Written to {options.folder}: images/ and marks/ (generated; replace them with your own), module.py, data.py, "
        f"train.py and settings.yaml.\nNext: cd {shlex.quote(str(options.folder))} && python train.py --plain && python "
        "train.py\nTwelve of the 240 training images have marks; README.md says how to carry them over to the rest, after "
        "which the model no longer uses the tag."
    )


def write(folder: Path) -> None:
    """Write generated images with marks, a LightningModule, a script that trains it with salreg's callbacks, and settings.

    Args:
        folder: The new folder; its parent must exist.

    Raises:
        FileExistsError: Something of that name exists already.
        FileNotFoundError: The parent does not exist.
    """
    if folder.exists() or folder.is_symlink():
        raise FileExistsError(f"{folder} exists already; nothing was written. Choose another name.")
    if not folder.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {folder.parent} to write to{nearest_path(folder.parent)}.")
    folder.mkdir()
    with as_file(files("salreg.recipes.command") / "project") as project:
        for path in sorted(project.iterdir()):
            if path.is_file():
                shutil.copyfile(path, folder / path.name)
    made_tags.write(folder)
