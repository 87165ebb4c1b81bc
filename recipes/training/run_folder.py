"""One folder per run; nothing is ever overwritten."""

from datetime import datetime
from pathlib import Path

from salreg.callbacks.atomic_write import remove_unfinished
from salreg.recipes.training.config import ConfigError


def create(parent: Path, name: str) -> Path:
    """Make and return ``parent/name/<time>``, with a number behind it if that is taken, also by a run started meanwhile.

    What killed runs left half written below ``parent/name`` is removed.

    Raises:
        ConfigError: It cannot be made there.
    """
    remove_unfinished(parent / name)
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    number = 1
    while True:
        folder = parent / name / (stamp if number == 1 else f"{stamp}_{number}")
        try:
            folder.mkdir(parents=True, exist_ok=False)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise ConfigError(f"out: the folder {folder} cannot be made ({error.strerror}). Choose another: out=...") from error
        else:
            return folder
