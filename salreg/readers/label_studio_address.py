"""The images of a task of Label Studio, by the addresses among its data."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, unquote_plus, urlsplit

from salreg.readers.names import is_rooted, normal, stem

_ADDRESS = re.compile(r"^([a-zA-Z][\w+.-]*://\S|/\S)")
_LOCAL = re.compile(r"[?&]d=([^&]*(?:&(?![\w-]+=)[^&]*)*)")
_UPLOAD = re.compile(r"(?:.*/)?data/upload/(?:\d+/)?(?:[0-9a-f]{6,8}-)?([^/]+)$")


def addresses(data: Mapping[str, Any]) -> dict[tuple[str, int], str]:
    """The names of a task's images by field, and number in the field's list.

    Example:
        >>> addresses({"note": "A mole. In 2020.", "image": "/data/upload/1/0a1b2c3d-003.jpg"})
        {('image', 0): '003.jpg'}
    """
    found = {
        (field, number): named(one)
        for field, value in data.items()
        for number, one in enumerate(value if isinstance(value, list) else [value])
        if isinstance(one, str) and _is_address(one)
    }
    return {place: name for place, name in found.items() if normal(name)}


def named(address: str) -> str:
    """The path that an address says, below its bucket or host; with a slash before it where it begins there.

    Example:
        >>> named("/data/local-files/?d=moles%2F003.jpg"), named("s3://bucket/moles/003.jpg")
        ('moles/003.jpg', '/moles/003.jpg')
    """
    if local := _LOCAL.search(address):  # its path may hold what an address would not
        return unquote_plus(local[1])
    if not re.match(r"https?://|/", address, re.IGNORECASE):
        scheme, mark, path = address.rpartition("://")
        return f"/{unquote(path.partition('/')[2])}" if mark and scheme else unquote(address)
    try:
        parts = urlsplit(address)
        queries = parse_qs(parts.query)
    except ValueError:
        return address
    if "fileuri" in queries:
        try:
            return named(base64.urlsafe_b64decode(queries["fileuri"][0] + "==").decode())
        except (binascii.Error, UnicodeDecodeError, RecursionError):
            return ""
    upload = _UPLOAD.fullmatch(unquote(parts.path))
    return upload[1] if upload else f"/{unquote(parts.path).lstrip('/')}" if is_rooted(address) else unquote(parts.path)


def _is_address(text: str) -> bool:
    text = text.strip()
    if "\n" in text or text.startswith("data:"):
        return False
    return bool(_ADDRESS.match(text)) or stem(text) != text
