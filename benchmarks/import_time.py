"""What it costs to import salreg and to call its command, as ratios to ``import torch`` in the same run.

Each is a process of its own, of which the CPU seconds (user and system) are counted and the median is taken; the first
process of each, which reads the files from the disk, is not counted.

    python -m benchmarks.import_time
"""

import argparse
import resource
import subprocess
import sys
from statistics import median

from tqdm import tqdm

COMMAND = "from salreg.recipes.command.cli import main; main({!r})"
MEASURED = {
    "import torch": "import torch",
    "import pytorch_lightning": "import pytorch_lightning",
    "import salreg": "import salreg",
    "from salreg import SaliencyPenalty": "from salreg import SaliencyPenalty",
    "import salreg.callbacks": "import salreg.callbacks",
    "salreg --help": COMMAND.format(["--help"]),
    "salreg ls": COMMAND.format(["ls"]),
    "salreg validate decoy_digits": COMMAND.format(["validate", "decoy_digits"]),
}


def cpu_seconds(code: str) -> float:
    """User and system time of a Python process that runs some code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    found: dict[str, list[float]] = {name: [] for name in MEASURED}
    for repeat in tqdm(range(repeats + 1), "Importing", disable=None):
        for name, code in MEASURED.items():
            seconds = cpu_seconds(code)
            if repeat:
                found[name].append(seconds)
    unit = median(found["import torch"])
    print("| what | CPU seconds | of `import torch` |\n| --- | ---: | ---: |")
    for name, seconds in found.items():
        print(f"| `{name}` | {median(seconds):.2f} | {median(seconds) / unit:.2f} |")


if __name__ == "__main__":
    main()
