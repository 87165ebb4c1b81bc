"""What `mkdocs` runs while it builds the site."""

import html
import re
import shutil
from logging import getLogger
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert

ROOT = Path(__file__).resolve().parents[1]
_SOURCES = {"salreg": ".", "callbacks": "callbacks", "recipes": "recipes", "configs": "configs"}  # as pyproject.toml maps them
_OUT_OF_DOCS = re.compile(r"\[([^\]\n]+)\]\(((?:\.\./)+)([^)\s#]+)\)")
_ONE_EXAMPLE = re.compile(r"^( *)Example:$", re.M)
_FORMULA = re.compile(r"^( *)\.\. math:: ((?:.+\n)+?)(?= *\n)", re.M)
_log = getLogger("mkdocs.plugins.salreg")


def on_startup(**_: Any) -> None:
    """Put the package together as it is installed; its docstrings are read from the files, without importing torch."""
    package = ROOT / "build" / "api" / "salreg"
    shutil.rmtree(package, ignore_errors=True)
    for folder, name in _SOURCES.items():
        shutil.copytree(ROOT / folder, package / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    for path in package.rglob("*.py"):
        source = _ONE_EXAMPLE.sub(r"\1Examples:", path.read_text("utf-8"))  # the word that makes a section of code of it
        path.write_text(_FORMULA.sub(r"\1```math\n\1\2\n\1```", source), "utf-8")


def on_config(config: Any, **_: Any) -> Any:
    """Let blocks of TeX be formulas."""
    fences = [{"name": "math", "class": "math", "format": _formula}]
    config.mdx_configs["pymdownx.superfences"] = {"custom_fences": fences}
    return config


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Name the repository's files that a page links, which are no pages; warn where there is no such file."""

    def named(link: re.Match[str]) -> str:
        words, up, path = link.groups()
        depth = len(Path(page.file.src_uri).parts)
        if up.count("../") < depth:
            return link.group()
        if not (ROOT / path).exists():
            _log.warning("%s links %s, which is not in the repository.", page.file.src_uri, path)
        return f'<span title="{path}">{words}</span>'

    return _OUT_OF_DOCS.sub(named, markdown)


def _formula(source: str, language: str, css_class: str, options: Any, md: Any, **_: Any) -> str:
    """A block of TeX as MathML, which browsers draw by themselves."""
    return f'<div class="{css_class}" role="math" aria-label="{html.escape(source)}">{convert(source, display="block")}</div>'
