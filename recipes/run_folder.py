"""One folder per run; nothing is ever overwritten."""

from datetime import datetime
from pathlib import Path


def create(parent: Path, name: str) -> Path:
    """Make and return ``parent/name/<time>``, with a number behind it if that is taken, also by a run started meanwhile."""
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    number = 1
    while True:
        folder = parent / name / (stamp if number == 1 else f"{stamp}_{number}")
        try:
            folder.mkdir(parents=True, exist_ok=False)
        except FileExistsError:
            number += 1
        else:
            return folder
