"""GitLab and GitHub by their real clients, against a forge on this machine that speaks their endpoints."""

from __future__ import annotations

import base64
import http.server
import os
import re
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from children import child
from commands import run
from conftest import git
from fleets import BRANCH, Fleet
from forge_server import TOKEN, Fault, Forge, serving
from index_server import served
from required import require_proc
from starts import real_starts
from twelvefold.fleet.forges import USERS
from twelvefold.fleet.forges.base import shortened
from twelvefold.fleet.results import TurnOutcome

KINDS = ["gitlab", "github"]


@pytest.fixture
def forge(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    """A forge with the repository `acme/pay`, which is the fleet."""
    (fleet.folder / "git/acme").mkdir()
    fleet.add("acme/pay")
    git(fleet.repository("acme/pay"), "config", "http.receivepack", "true")
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # what is waited out need not be waited for
    with serving(fleet.folder / "git") as made:
        yield made


def configure(fleet: Fleet, forge: Forge, kind: str, **values: object) -> None:
    services = {"services": [{"url": f"{forge.url}/acme/pay.git"}]}
    api = forge.url if kind == "gitlab" else f"{forge.url}/api/v3"
    token = fleet.keep_token(TOKEN)
    fleet.configure(f"[forge]\nkind = '{kind}'\n{token}url = '{api}'\n", **{**services, **values})


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_is_opened_updated_and_closed(kind: str, fleet: Fleet, forge: Forge) -> None:
    configure(fleet, forge, kind)
    result = fleet.rollup()["pay"]
    assert result.outcome is TurnOutcome.PROPOSED, result.sentence
    (request,) = forge.requests
    assert request["title"] == "chore: update from the template, 0.1.0 to 0.2.0"
    assert request["description"].startswith("# pay-api: 0.1.0 → 0.2.0")
    assert (request["base"], request["branch"], request["labels"]) == ("main", BRANCH, ["twelvefold"])
    assert result.request.startswith(forge.url)
    request["labels"].append("of-a-reviewer")
    fleet.history.release("0.3.0", {"owned/core.py": '"""Mended again."""\n'})
    fleet.rollup()
    assert len(forge.requests) == 1
    assert request["title"] == "chore: update from the template, 0.1.0 to 0.3.0"
    assert request["labels"] == ["twelvefold", "of-a-reviewer"]
    git(fleet.repository("acme/pay"), "update-ref", "refs/heads/main", f"refs/heads/{BRANCH}")
    assert fleet.rollup()["pay"].outcome is TurnOutcome.IN_STEP
    assert request["state"] == "closed"
    assert forge.notes == [(1, "The service is in step with the template without this.")]
    assert fleet.branches("acme/pay") == ["main"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_needs_a_person_is_labelled_until_it_does_not(kind: str, fleet: Fleet, forge: Forge) -> None:
    configure(fleet, forge, kind)
    fleet.push("acme/pay", "owned/core.py", "PATCHED = True\n")
    assert fleet.rollup(exit_code=2)["pay"].outcome is TurnOutcome.PERSON
    assert forge.requests[0]["labels"] == ["twelvefold", "needs-a-person"]
    assert "## Please look at" in forge.requests[0]["description"]
    configure(fleet, forge, kind, services=[{"url": f"{forge.url}/acme/pay.git", "heal": True}])
    assert fleet.rollup()["pay"].outcome is TurnOutcome.PROPOSED
    assert forge.requests[0]["labels"] == ["twelvefold"]


@pytest.mark.parametrize("kind", KINDS)
def test_of_two_runs_at_once_the_second_finds_the_first_s_request(kind: str, fleet: Fleet, forge: Forge) -> None:
    configure(fleet, forge, kind)
    find = forge.open_of
    seen: list[str] = []

    def too_early(project: str, branch: str) -> list[dict[str, object]]:
        if threading.current_thread() is not threading.main_thread() and not seen:
            seen.append(branch)
            return []  # nobody has opened one yet; then somebody does
        return find(project, branch)

    forge.create("acme/pay", BRANCH, {"title": "t", "description": "d", "labels": [], "base": "main"})
    forge.open_of = too_early  # type: ignore[method-assign]
    assert fleet.rollup()["pay"].outcome is TurnOutcome.PROPOSED
    assert seen
    assert len(forge.requests) == 1
    assert forge.requests[0]["title"].startswith("chore: update")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", [Fault(429, {"Retry-After": "1"}), Fault(502), Fault(503)], ids=["429", "502", "503"])
def test_what_passes_by_itself_is_tried_again(kind: str, fault: Fault, fleet: Fleet, forge: Forge) -> None:
    configure(fleet, forge, kind)
    forge.faults.extend([fault, fault])
    assert fleet.rollup()["pay"].outcome is TurnOutcome.PROPOSED
    assert len(forge.requests) == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "the token is not accepted"),
        (403, "the token may not do this"),
        (404, "there is no such repository"),
        (500, "the forge failed"),
    ],
)
def test_a_refusal_is_told_in_a_sentence(kind: str, status: int, said: str, fleet: Fleet, forge: Forge) -> None:
    configure(fleet, forge, kind)
    forge.faults.extend([Fault(status)] * 20)
    result = fleet.rollup(exit_code=3)["pay"]
    assert result.outcome is TurnOutcome.FAILED
    assert said in result.sentence
    forge.faults.clear()
    assert fleet.rollup()["pay"].outcome is TurnOutcome.PROPOSED
    assert len(fleet.commits("acme/pay", BRANCH)) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_that_is_wrong_fails_before_anything_is_pushed(kind: str, fleet: Fleet, forge: Forge) -> None:
    configure(fleet, forge, kind)
    fleet.keep_token("wrong")
    assert fleet.rollup(exit_code=3)["pay"].outcome is TurnOutcome.FAILED
    (fleet.folder / "token").unlink()
    said = fleet.run("rollup", exit_code=2)
    assert "The file that token_file in fleet.toml names cannot be read: No such file or directory." in said
    assert fleet.branches("acme/pay") == ["main"]


def test_an_archived_repository_fails_with_a_sentence(fleet: Fleet, forge: Forge) -> None:
    configure(fleet, forge, "gitlab")
    forge.archived.add("acme/pay")
    result = fleet.rollup(exit_code=3)["pay"]
    assert result.outcome is TurnOutcome.FAILED
    assert "403" in result.sentence


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_repositories_are_discovered(kind: str, fleet: Fleet, forge: Forge) -> None:
    fleet.add("acme/mail", "acme/old", "acme/pay-2")
    for name in ("mail", "old", "pay-2"):
        git(fleet.repository(f"acme/{name}"), "config", "http.receivepack", "true")
    forge.archived.add("acme/old")
    where = "gitlab" if kind == "gitlab" else "github"
    configure(fleet, forge, kind, services=[], discover=[{where: "acme", "exclude": ["pay-2"]}])
    assert set(fleet.rollup()) == {"mail", "pay"}
    configure(fleet, forge, kind, services=[], discover=[{where: "acme", "topic": "python"}])
    assert set(fleet.rollup()) == {"mail", "pay", "pay-2"}


def test_a_discovered_repository_that_is_no_service_is_no_failure(fleet: Fleet, forge: Forge) -> None:
    git(fleet.folder, "clone", "--quiet", str(fleet.seed), "other")
    git(fleet.folder / "other", "rm", "-r", "--quiet", ".twelvefold")
    git(fleet.folder / "other", "commit", "--quiet", "--message", "No service")
    git(fleet.folder, "clone", "--quiet", "--bare", "other", "git/acme/other.git")
    configure(fleet, forge, "gitlab", services=[], discover=[{"gitlab": "acme"}])
    assert fleet.rollup()["other"].outcome is TurnOutcome.NONE


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_token_is_nowhere(kind: str, fleet: Fleet, forge: Forge) -> None:
    require_proc()
    configure(fleet, forge, kind)
    trace = fleet.folder / "trace"
    program = str(Path(sys.executable).parent / "twelvefold")
    command = [program, "fleet", "rollup", "--jobs", "2", "--fleet", str(fleet.folder / "fleet.toml")]
    environment = {**os.environ, "GIT_TRACE": str(trace), "GIT_TRACE_CURL": "0"}
    seen: list[bytes] = []
    with (
        real_starts(),
        child(*command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process,
    ):
        while process.poll() is None:
            for name in ("cmdline", "environ"):
                seen += [line for path in Path("/proc").glob(f"[0-9]*/{name}") if (line := _read(path))]
        said = process.communicate()[0].encode()
    assert process.returncode == 0, said
    written = [
        path.read_bytes() for path in fleet.folder.rglob("*") if path.is_file() and path.name not in {"trace", "token"}
    ]
    assert any(b"git" in line for line in seen)
    header = base64.b64encode(f"{USERS[kind]}:{TOKEN}".encode())
    texts = [said, trace.read_bytes(), *seen, *written]
    assert not [text for text in texts if TOKEN.encode() in text or header in text]
    settings = "".join(path.read_text(encoding="utf-8") for path in fleet.folder.rglob(".git/config"))
    assert re.search(r"url = http://127", settings)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended
        return b""


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_does_not_follow_to_another_host(kind: str, fleet: Fleet, forge: Forge, tmp_path: Path) -> None:
    configure(fleet, forge, kind)
    with serving(tmp_path) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        forge.faults.extend([Fault(302, {"Location": f"{elsewhere}/api/v4/projects/acme%2Fpay/merge_requests"})] * 9)
        assert fleet.rollup(exit_code=3)["pay"].outcome is TurnOutcome.FAILED
        assert TOKEN in forge.shown
        assert TOKEN not in other.shown


@pytest.mark.parametrize(("body", "kept"), [("one\ntwo", "one\ntwo"), ("one\ntwo\n", "one"), ("one two three", "")])
def test_a_body_that_is_longer_than_may_be_ends_with_a_whole_line(body: str, kept: str) -> None:
    end = "" if kept == body else "\n\n… The report is longer than the forge takes.\n"
    assert shortened(body, 7) == kept + end


class Json(http.server.BaseHTTPRequestHandler):
    """Says yes to everything."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"yes": true}')

    def log_message(self, *_: object) -> None:
        pass


ASK = {
    "gitlab": "client(url, None).http_get('/version')",
    "github": "client(url, None).requester.requestJsonAndCheck('GET', '/version')[1]",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_forge_of_the_company_s_own_authority_is_trusted_where_the_system_trusts_it(
    kind: str, tmp_path: Path
) -> None:
    """SSL_CERT_FILE stands in for the system's store: OpenSSL reads it in the place of that."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    script = "import sys; from twelvefold.fleet.forges.{kind} import client; url = sys.argv[1]; print({ask}['yes'])"
    command = (sys.executable, "-c", script.format(kind=kind, ask=ASK[kind]))
    with served(Json, context) as url:
        trusted = run(*command, url, env={**os.environ, "SSL_CERT_FILE": str(tmp_path / "authority.pem")})
        assert (trusted.returncode, trusted.stdout) == (0, "True\n"), trusted.stderr
        if kind == "gitlab":  # the other waits longer before it gives up
            assert "CERTIFICATE_VERIFY_FAILED" in run(*command, url).stderr
