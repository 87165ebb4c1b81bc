"""Paths that are not there."""

from pathlib import Path

from salreg.names import nearest


def nearest_path(path: Path) -> str:
    """The names beside the first part of a path that is missing that resemble it; empty if none does, or nothing is missing.

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
