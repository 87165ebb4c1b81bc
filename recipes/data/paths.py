"""Suggestions for paths that do not exist."""

from pathlib import Path

from salreg.names import nearest


def nearest_path(path: Path) -> str:
    """A suggestion of names similar to the first missing part of a path; empty if there is none, or if nothing is missing.

    Example:
        >>> from tempfile import mkdtemp
        >>> root = Path(mkdtemp())
        >>> (root / "photos").mkdir()
        >>> nearest_path(root / "photo" / "cats")
        " (did you mean 'photos'?)"
    """
    if path.exists():
        return ""
    missing = path
    while not missing.parent.is_dir() and missing != missing.parent:
        missing = missing.parent
    try:
        return nearest(missing.name, [one.name for one in missing.parent.iterdir()])
    except OSError:
        return ""
