"""A run folder in a browser on the same machine, and the report reloaded as it grows."""

import hashlib
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

_WAITING = b"""<!DOCTYPE html><meta charset="utf-8"><link rel="icon" href="data:,"><title>salreg</title>
<p>There is no report yet: wait for a snapshot.</p>
"""
_RELOADING = """
<script>
setInterval(() => fetch("report.html", {method: "HEAD", cache: "no-store"})
  .then((answer) => { if (answer.headers.get("ETag") !== "%s") location.reload(); })
  .catch(() => {}), 1000);
</script>
"""


def server(folder: Path, port: int = 0) -> ThreadingHTTPServer:
    """A server of a run folder for this machine alone; ``serve_forever()`` runs it.

    Args:
        folder: Its ``report.html`` is the first page, and reloads itself when it changes.
        port: To listen on; 0 takes a free one, ``server_port`` tells which.

    Raises:
        FileNotFoundError: No such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    return ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, directory=str(folder)))


class _Handler(SimpleHTTPRequestHandler):
    def send_head(self) -> Any:
        """Of GET and HEAD: the answer up to its body, which is returned."""
        host = self.headers.get("Host", "").rpartition(":")[0]
        if host not in ("127.0.0.1", "localhost"):  # a page elsewhere whose name was made to point here
            self.send_error(403, "This server answers to its own machine only.")
            return None
        return self._report() if self.path in ("/", "/report.html") else super().send_head()

    def _report(self) -> BytesIO:
        path = Path(self.directory) / "report.html"
        page = path.read_bytes() if path.is_file() else _WAITING
        version = hashlib.sha256(page).hexdigest()
        page += (_RELOADING % version).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("ETag", version)
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        return BytesIO(page)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the browser asks every second."""
