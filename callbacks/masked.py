"""Configurations as everybody may see them."""

import re

import yaml

MASK = "'***'"
_WORDS = r"(?:token|password|passwd|passphrase|secret|credential|auth)s?"
_KEYS = r"(?:api|access|private|secret|auth|signing|encryption)_?keys?"
_SECRET = re.compile(rf"(?:.*[_.-])?(?:{_WORDS}|{_KEYS})(?:[_.-](?:id|value|file|env))?", re.IGNORECASE)
#: Tokens of texts, not of persons.
_HARMLESS = re.compile(
    r"(?:pad|padding|cls|sep|mask|unk|bos|eos|class|per|next|(?:max|min|num|n)(?:_[a-z]+)*)_tokens?", re.IGNORECASE
)
_IN_ADDRESS = re.compile(r"(?<=://)([^\s/:@'\"]*):[^\s/@'\"]+(?=@)")


def masked(text: str) -> str:
    """A YAML in which the values of keys that look like secrets are masked, and passwords in addresses; comments stay.

    Args:
        text: As written, interpolations unresolved. What is no YAML is not shown at all.

    Example:
        >>> print(masked("seed: 1\\ntracker: {api_key: abc, name: mine}  # ours"))
        seed: 1
        tracker: {api_key: '***', name: mine}  # ours
    """
    try:
        documents = list(yaml.compose_all(text, yaml.SafeLoader))  # only composed: no tag makes an object
    except yaml.YAMLError:
        return "(not shown: it cannot be read as YAML, so secrets in it cannot be masked)"
    spans = [span for document in documents for span in _secrets(document, set())]
    shown, at = "", 0
    for start, end in sorted(spans):
        if start >= at:  # an alias may stand for a part of what is masked already
            shown += text[at:start] + MASK + ("\n" if text[start:end].endswith("\n") else "")
            at = end
    return _IN_ADDRESS.sub(r"\1:***", shown + text[at:])


def _secrets(node: yaml.Node | None, seen: set[int]) -> list[tuple[int, int]]:
    """Where the values of such keys stand, from and to."""
    if not isinstance(node, yaml.CollectionNode) or id(node) in seen:  # an alias may stand inside of what it names
        return []
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        return [span for one in node.value for span in _secrets(one, seen)]
    found = []
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and _looks_secret(key.value) and not _is_empty(value):
            found.append((value.start_mark.index, value.end_mark.index))
        else:
            found += _secrets(value, seen)
    return found


def _looks_secret(key: str) -> bool:
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key)
    return bool(_SECRET.fullmatch(name)) and not _HARMLESS.fullmatch(name.rpartition(".")[2])


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.value in ("", "null", "~")
