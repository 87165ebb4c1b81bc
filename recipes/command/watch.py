"""Shows a run folder in a browser on the same machine, and reloads the report as it grows."""

import argparse
import hashlib
import os
import secrets
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from salreg.recipes.data.paths import nearest_path
from salreg.recipes.training.packaged import ConfigError

_WAITING = b"""<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>salreg</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<style>:root { color-scheme: light dark; font-family: system-ui, sans-serif }</style>
<main><h1>salreg</h1><p>There is no report yet: the first snapshot is drawn when the training begins.</p></main>
"""
_RELOADING = """
<script>
setInterval(() => fetch("report.html", {method: "HEAD", cache: "no-store"})
  .then((answer) => { if (answer.headers.get("ETag") !== "%s") location.reload(); })
  .catch(() => {}), 1000);
</script>
"""


def watch(options: argparse.Namespace) -> None:
    """Serve a run folder until it is interrupted."""
    with server(options.folder, options.port) as serving:
        print(f"Serving {options.folder} at {serving.url} (Ctrl+C ends it)", flush=True)
        serving.serve_forever()


class Server(ThreadingHTTPServer):
    """Serves a folder to anybody who knows the address.

    Attributes:
        url: The address of the report. It contains a random word, so that nobody else on the machine can guess it.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.token = secrets.token_urlsafe(16)
        super().__init__(("127.0.0.1", port), partial(_Handler, directory=str(folder), token=self.token))
        self.url = f"http://127.0.0.1:{self.server_port}/{self.token}/"


def server(folder: Path, port: int = 0) -> Server:
    """A server of a run folder that only this machine can reach; ``serve_forever()`` runs it.

    Args:
        folder: The run folder. Its ``report.html`` is the first page, and reloads itself when it changes. Its other files can
            be requested by name; folders are not listed, and links out of it are not followed.
        port: The port to listen on; 0 takes a free one, which ``server_port`` returns.

    Raises:
        FileNotFoundError: There is no such folder.
        ConfigError: The port cannot be used.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}{nearest_path(folder)}.")
    if not 0 <= port <= 65535:
        raise ConfigError(f"A port must be a number from 1 to 65535 (0 takes a free one), not {port}.")
    try:
        return Server(folder, port)
    except PermissionError as error:
        raise ConfigError(
            f"This account may not listen on port {port}; most systems reserve those below 1024. Omit --port to use a free one."
        ) from error
    except OSError as error:
        raise ConfigError(f"Port {port} is taken ({error.strerror}). Omit --port to use a free one.") from error


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *args: Any, token: str, **kwargs: Any) -> None:
        self._token = token
        super().__init__(*args, **kwargs)

    def send_head(self) -> Any:
        """Answer GET and HEAD up to the body, which is returned."""
        if _host(self.headers.get("Host", "")) not in ("127.0.0.1", "localhost"):  # another page's name for it
            self.send_error(403, "This server answers only its own machine.")
            return None
        token, slash, name = unquote(urlsplit(self.path).path).lstrip("/").partition("/")
        if not slash or not secrets.compare_digest(token.encode(), self._token.encode()):
            self.send_error(404, "There is nothing here. Open the address that `salreg watch` printed.")
            return None
        file = _inside(Path(self.directory), name or "report.html")
        if name in ("", "report.html"):
            return self._answer(_WAITING if file is None else file, "text/html; charset=utf-8", reloading=True)
        if file is None:
            self.send_error(404, "The run folder has no such file.")
            return None
        return self._answer(file, self.guess_type(name))

    def _answer(self, body: bytes, kind: str, reloading: bool = False) -> BytesIO:
        version = hashlib.sha256(body).hexdigest()
        body += (_RELOADING % version).encode() if reloading else b""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", version)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")  # the address must stay secret
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        return BytesIO(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing, because the browser asks every second."""


def _host(header: str) -> str | None:
    """The name in a Host header, with or without a port."""
    try:
        return urlsplit(f"//{header}").hostname
    except ValueError:
        return None


def _inside(folder: Path, name: str) -> bytes | None:
    """The contents of a file in a folder; None if there is no such regular file, or if a link leads out of the folder."""
    try:
        path = (folder / name).resolve(strict=True)
        if not path.is_relative_to(folder.resolve()) or not path.is_file():
            return None
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as file:  # noqa: PTH123
            return file.read()
    except (OSError, ValueError):  # ValueError: a null byte in the name
        return None
