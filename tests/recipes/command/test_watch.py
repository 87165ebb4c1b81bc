"""A run folder in the browser of the same machine, for who knows the address, and no other."""

import threading
from http.client import HTTPConnection

import pytest

from salreg.recipes.command.watch import server
from salreg.recipes.training.config import ConfigError


@pytest.fixture
def run(tmp_path):
    """A run folder beside something that is nobody's business."""
    folder = tmp_path / "run"
    folder.mkdir()
    (tmp_path / "secret").write_text("nobody's business")
    return folder


@pytest.fixture
def ask(run):
    """Asks a server of ``run``: the status and the body."""
    with server(run) as serving:
        threading.Thread(target=serving.serve_forever, args=(0.01,), daemon=True).start()  # looks every 10 ms for its end

        def get(path="", host=None, method="GET", token=None):
            connection = HTTPConnection("127.0.0.1", serving.server_port, timeout=10)
            headers = {"Host": host or f"127.0.0.1:{serving.server_port}"}
            connection.request(method, f"/{serving.token if token is None else token}/{path}", headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

        get.server = serving
        yield get
        serving.shutdown()


def test_the_report_is_the_first_page_and_reloads_itself(ask, run):
    (run / "report.html").write_text("<h1>mine</h1>")
    for path in ("", "report.html", "?again=1"):
        status, body = ask(path)
        assert status == 200
        assert body.startswith("<h1>mine</h1>")
        assert "location.reload" in body
    assert (run / "report.html").read_text() == "<h1>mine</h1>"


def test_before_the_first_snapshot_a_page_waits(ask):
    status, body = ask()
    assert status == 200
    assert "no report yet" in body


def test_the_other_files_of_the_run_are_there_too(ask, run):
    (run / "snapshots").mkdir()
    (run / "snapshots" / "panel.csv").write_text("epoch\n")
    assert ask("snapshots/panel.csv") == (200, "epoch\n")
    assert ask("snapshots/nothing")[0] == 404


@pytest.mark.parametrize(
    "path", ["../secret", "%2e%2e/secret", "a/../../secret", "%00", "//secret", "/etc/passwd", "%2Fetc%2Fpasswd"]
)
def test_nothing_above_the_folder_is_served(ask, path):
    assert ask(path)[0] == 404


@pytest.mark.parametrize("name", ["report.html", "link", "folder/secret"])
def test_links_out_of_the_folder_are_not_followed(ask, run, name):
    (run / "report.html").symlink_to(run.parent / "secret")
    (run / "link").symlink_to(run.parent / "secret")
    (run / "folder").symlink_to(run.parent)
    assert "nobody's business" not in ask(name)[1]


def test_links_within_the_folder_are(ask, run):
    (run / "last.txt").write_text("here")
    (run / "link").symlink_to("last.txt")
    assert ask("link") == (200, "here")


@pytest.mark.parametrize("path", ["snapshots", "snapshots/"])
def test_folders_are_not_listed(ask, run, path):
    (run / "snapshots").mkdir()
    (run / "snapshots" / "index.html").write_text("all of it")
    assert ask(path)[0] == 404


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_does_not_know_the_address_gets_nothing(ask, run, method):
    (run / "report.html").write_text("<h1>mine</h1>")
    for token in ("", "report.html", ask.server.token[:-1], "x" * 22, "%C3%A9"):
        assert ask("report.html", token=token, method=method)[0] == 404
    assert ask.server.token in ask.server.url


def test_every_server_has_an_address_of_its_own(run):
    with server(run) as one, server(run) as other:
        assert one.token != other.token


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_it_answers_to_its_own_machine_only(ask, method):
    assert ask.server.server_address[0] == "127.0.0.1"
    for host in ("attacker.example:80", "attacker.example", "127.0.0.1.attacker.example", "[", "localhost@attacker.example:1"):
        assert ask(host=host, method=method)[0] == 403
    for host in (f"localhost:{ask.server.server_port}", "localhost", "127.0.0.1"):  # browsers leave port 80 away
        assert ask(host=host, method=method)[0] == 200


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        server(tmp_path / "nothing")


def test_a_port_that_cannot_be_had_is_named_with_a_way_out(run, monkeypatch):
    with pytest.raises(ConfigError, match="from 1 to 65535.*, not 70000"):
        server(run, 70000)
    with server(run) as one, pytest.raises(ConfigError, match=f"Port {one.server_port} is taken .*Omit --port"):
        server(run, one.server_port)
    monkeypatch.setattr("socketserver.TCPServer.server_bind", refuse)
    with pytest.raises(ConfigError, match="may not listen on port 80.*Omit --port"):
        server(run, 80)


def refuse(_):
    raise PermissionError(13, "Permission denied")
