"""Lexicons of groups and their terms, from a YAML file."""

from importlib.resources import files
from pathlib import Path

import yaml

from salreg.annotations import Counterparts
from salreg.recipes.data.paths import nearest_path


def identity_terms() -> Counterparts:
    """The packaged lexicon of terms for people.

    Example:
        >>> list(identity_terms().axes)[0]
        'gender'
    """
    return read_lexicon(Path(str(files("salreg.recipes.data") / "identity_terms.yaml")))


def read_lexicon(path: Path) -> Counterparts:
    """A lexicon ``{axis: {group: [term, ...]}}``, or ``{axis: [term, ...]}`` with a group for each term.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not YAML, or not a lexicon; the message says what is wrong.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no lexicon {path}{nearest_path(path)}.")
    try:
        axes = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not readable as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(axes, dict):
        raise ValueError(f"{path} holds no lexicon, such as {{gender: {{female: [she], male: [he]}}}}.")
    for axis, groups in axes.items():
        if not isinstance(groups, dict | list):
            raise ValueError(f"{path}: {axis!r} must be a list of terms, or a mapping from groups to their terms.")
        for term in groups if isinstance(groups, list) else [one for terms in groups.values() for one in terms or ()]:
            if not isinstance(term, str):
                raise ValueError(f"{path}: {axis!r} has the term {term!r}, which YAML does not read as text. Quote it.")
    try:
        return Counterparts(axes)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
