"""A run folder in a browser on the same machine, and the report reloaded as it grows."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_WAITING = b"<!DOCTYPE html><meta charset='utf-8'><title>salreg</title><p>There is no report yet: wait for a snapshot.</p>"
_RELOADING = b"""
<script>
let seen = null;
setInterval(async () => {
  const now = await fetch("report.html", {method: "HEAD", cache: "no-store"})
    .then((answer) => answer.ok ? answer.headers.get("Last-Modified") + answer.headers.get("Content-Length") : null)
    .catch(() => seen);
  if (seen !== null && now !== seen || document.title === "salreg" && now !== null) location.reload();
  seen = now;
}, 1000);
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
    def do_GET(self) -> None:
        if self._is_asked_for_here():
            if self.path in ("/", "/report.html"):
                self._send_report()
            else:
                super().do_GET()

    def do_HEAD(self) -> None:
        if self._is_asked_for_here():
            super().do_HEAD()

    def _is_asked_for_here(self) -> bool:
        """Not by a page elsewhere whose name was made to point here."""
        if self.headers.get("Host", "").rpartition(":")[0] in ("127.0.0.1", "localhost"):
            return True
        self.send_error(403, "This server answers to its own machine only.")
        return False

    def _send_report(self) -> None:
        report = Path(self.directory) / "report.html"
        page = (report.read_bytes() if report.is_file() else _WAITING) + _RELOADING
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the browser asks every second."""
