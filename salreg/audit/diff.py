"""Two texts side by side, with the words that differ marked."""

from difflib import SequenceMatcher
from html import escape


def marked_changes(before: str, after: str) -> tuple[str, str]:
    """Both texts as HTML, with the differences in ``<del>`` and ``<ins>``.

    Example:
        >>> marked_changes("she ran <b>", "he ran <b>")
        ('<del>she</del> ran &lt;b&gt;', '<ins>he</ins> ran &lt;b&gt;')
    """
    own, other = before.split(" "), after.split(" ")
    olds: list[str] = []
    news: list[str] = []
    for kind, i, j, k, m in SequenceMatcher(None, own, other, autojunk=False).get_opcodes():
        old, new = escape(" ".join(own[i:j])), escape(" ".join(other[k:m]))
        if old:
            olds.append(old if kind == "equal" else f"<del>{old}</del>")
        if new:
            news.append(new if kind == "equal" else f"<ins>{new}</ins>")
    return " ".join(olds), " ".join(news)
