"""A run folder in the browser of the same machine, and no other."""

import threading
from http.client import HTTPConnection

import pytest

from salreg.recipes.watch import server


@pytest.fixture
def ask(tmp_path):
    """Asks a server of ``tmp_path``: the status and the body."""
    with server(tmp_path) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()

        def get(path="/", host=None, method="GET"):
            connection = HTTPConnection("127.0.0.1", serving.server_port, timeout=10)
            connection.request(method, path, headers={"Host": host or f"127.0.0.1:{serving.server_port}"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

        get.server = serving
        yield get
        serving.shutdown()


def test_the_report_is_the_first_page_and_reloads_itself(ask, tmp_path):
    (tmp_path / "report.html").write_text("<h1>mine</h1>")
    for path in ("/", "/report.html"):
        status, body = ask(path)
        assert status == 200
        assert body.startswith("<h1>mine</h1>")
        assert "location.reload" in body
    assert (tmp_path / "report.html").read_text() == "<h1>mine</h1>"


def test_before_the_first_snapshot_a_page_waits(ask):
    status, body = ask()
    assert status == 200
    assert "no report yet" in body


def test_the_other_files_of_the_run_are_there_too(ask, tmp_path):
    (tmp_path / "results.json").write_text("{}")
    assert ask("/results.json") == (200, "{}")
    assert ask("/../secret")[0] == 404
    assert ask("/nothing")[0] == 404


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_it_answers_to_its_own_machine_only(ask, method):
    assert ask.server.server_address[0] == "127.0.0.1"
    assert ask(host="attacker.example:80", method=method)[0] == 403
    assert ask(host=f"localhost:{ask.server.server_port}", method=method)[0] in (200, 404)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        server(tmp_path / "nothing")
