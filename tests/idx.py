"""A miniature MNIST in the original layout."""

import gzip
from pathlib import Path

import numpy as np

SHAPES = {"train-images": (20, 28, 28), "train-labels": (20,), "t10k-images": (10, 28, 28), "t10k-labels": (10,)}


def write_idx(root: Path, gzipped: bool = True) -> Path:
    root.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for name, shape in SHAPES.items():
        values = rng.integers(0, 10 if "labels" in name else 256, shape, dtype=np.uint8)
        raw = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape) + values.tobytes()
        file = root / f"{name}-idx{len(shape)}-ubyte{'.gz' if gzipped else ''}"
        file.write_bytes(gzip.compress(raw) if gzipped else raw)
    return root
