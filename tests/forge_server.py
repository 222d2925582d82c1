"""A forge on this machine: git's own http-backend, and the endpoints of GitLab's and GitHub's API that the fleet uses.

It keeps requests as those do, checks tokens, and fails when it is told to.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

# Of a forge that lives as long as a test. One for each process: a test looks for it in all that runs, and others run
# beside it.
TOKEN = f"glpat-this-is-secret-{os.getpid()}"


@dataclass
class Fault:
    """What is answered instead."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0
    is_late: bool = False
    """Of git: after it did what it was asked to."""


@dataclass
class Forge:
    """The forge's state: requests by number, as both APIs show them."""

    folder: Path
    url: str = ""
    token: str = TOKEN
    requests: list[dict[str, Any]] = field(default_factory=list)
    notes: list[tuple[int, str]] = field(default_factory=list)
    faults: deque[Fault] = field(default_factory=deque)
    """Of the API."""
    git_faults: deque[Fault | None] = field(default_factory=deque)
    """Of the git server; None in it lets a request pass."""
    git_asked: list[str] = field(default_factory=list)
    """Each request of git: method and path."""
    asked: list[str] = field(default_factory=list)
    """Each request to the API: method and path."""
    shown: list[str] = field(default_factory=list)
    """The tokens that came with requests to the API."""
    archived: set[str] = field(default_factory=set)
    gate: threading.Semaphore | None = None
    """Each push takes one of it, or waits until there is one; None lets all pass."""
    connected: int = 0
    """Connections whose requests are not all done."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def open_of(self, project: str, branch: str) -> list[dict[str, Any]]:
        return [
            one for one in self.requests if (one["project"], one["branch"], one["state"]) == (project, branch, "open")
        ]

    def create(self, project: str, branch: str, wanted: dict[str, Any]) -> dict[str, Any] | None:
        """None if there is one."""
        with self.lock:
            if self.open_of(project, branch):
                return None
            made = {"number": len(self.requests) + 1, "project": project, "branch": branch, "state": "open", **wanted}
            self.requests.append(made)
            return made

    @contextlib.contextmanager
    def connection(self) -> Iterator[None]:
        """It counts for as long as the block lasts."""
        with self.lock:
            self.connected += 1
        try:
            yield
        finally:
            with self.lock:
                self.connected -= 1

    def projects(self) -> list[str]:
        return sorted(path.relative_to(self.folder).as_posix()[:-4] for path in self.folder.glob("*/*.git"))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    forge: Forge

    def handle(self) -> None:
        with self.forge.connection():
            super().handle()

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the base's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        pass

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        self.query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            self.body = self._chunks()
        else:
            self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if ".git/" in parts.path:
            self._git(parts.path, parts.query)
            return
        self.forge.asked.append(f"{self.command} {parts.path}")
        secrets = (self.headers.get("PRIVATE-TOKEN"), (self.headers.get("Authorization") or "").split(" ")[-1])
        self.forge.shown += filter(None, secrets)
        if self.forge.faults:
            fault = self.forge.faults.popleft()
            time.sleep(fault.seconds)
            self._send(fault.status, {"message": "as it was told to"}, fault.headers)
            return
        if self.forge.token not in secrets:
            self._send(401, {"message": "401 Unauthorized"})
            return
        for pattern, answer in ROUTES:
            if match := re.fullmatch(pattern, f"{self.command} {unquote(parts.path)}"):
                sent = json.loads(self.body) if self.body else {}
                self._send(*answer(self, *match.groups(), sent=sent))
                return
        self._send(404, {"message": "404 Not Found"})

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode() if status != 204 else b""
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _git(self, path: str, query: str) -> None:
        self.forge.git_asked.append(f"{self.command} {path}")
        fault = self.forge.git_faults.popleft() if self.forge.git_faults else None
        if fault and not fault.is_late:
            time.sleep(fault.seconds)
            self._send(fault.status, {"message": "as it was told to"}, fault.headers)
            return
        shown = (self.headers.get("Authorization") or "Basic Og==").split(" ")[-1]
        if base64.b64decode(shown).decode().partition(":")[2] != self.forge.token:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="forge"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        pushes = "git-receive-pack" in f"{path}{query}"
        if pushes and path.split(".git/")[0].lstrip("/") in self.forge.archived:
            self._send(403, {"message": "The project is archived."})
            return
        environment = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self.forge.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REMOTE_USER": "oauth2",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        if (gate := self.forge.gate) and path.endswith("/git-receive-pack"):
            gate.acquire()
        done = subprocess.run(
            ["git", "http-backend"], input=self.body, env=environment, capture_output=True, check=False
        )
        if path.endswith("/git-receive-pack") and b"ng refs/" not in done.stdout:
            self._pushed(path.split(".git/")[0].lstrip("/"))
        if fault:
            self._send(fault.status, {"message": "as it was told to"}, fault.headers)
            return
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        self.send_response(int(headers.pop("Status", "200").split(" ")[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _pushed(self, project: str) -> None:
        """Do what GitLab does after a push: what its options say, and close the request of a branch that is gone.

        Format of the body: https://git-scm.com/docs/pack-protocol#_reference_update_request_and_packfile_transfer
        """
        packets = iter(_packets(self.body))
        commands = list(iter(lambda: next(packets, ""), ""))
        if not commands:
            return
        has_options = "push-options" in commands[0]
        told = [line.partition("=") for line in iter(lambda: next(packets, ""), "")] if has_options else []
        _, new, ref = commands[0].split("\0")[0].split(" ")
        branch = ref.removeprefix("refs/heads/")
        known = self.forge.open_of(project, branch)
        if not new.strip("0"):
            for one in known:
                one["state"] = "closed"
            return
        options = {name: value for name, _, value in told}
        if not known and "merge_request.create" in options:
            wanted = {"title": "", "description": "", "labels": [], "base": options["merge_request.target"]}
            known = [made for made in [self.forge.create(project, branch, wanted)] if made]
        for one in known if options else []:
            one["title"] = options["merge_request.title"]
            one["description"] = options["merge_request.description"].replace("\\n", "\n")
            added = [value for name, _, value in told if name == "merge_request.label"]
            gone = [value for name, _, value in told if name == "merge_request.unlabel"]
            one["labels"] = [label for label in dict.fromkeys([*one["labels"], *added]) if label not in gone]

    # GitLab

    def gitlab_list(self, project: str, sent: Any) -> tuple[int, Any]:
        found = self.forge.open_of(project, self.query["source_branch"])
        return 200, [self._merge_request(one) for one in found]

    def gitlab_create(self, project: str, sent: Any) -> tuple[int, Any]:
        wanted = {name: sent[name] for name in ("title", "description")} | {"labels": sent["labels"].split(",")}
        made = self.forge.create(project, sent["source_branch"], {**wanted, "base": sent["target_branch"]})
        if made is None:
            return 409, {"message": ["Another open merge request already exists for this source branch: !1"]}
        return 201, self._merge_request(made)

    def gitlab_update(self, project: str, number: str, sent: Any) -> tuple[int, Any]:
        one = self.forge.requests[int(number) - 1]
        one |= {name: sent[name] for name in ("title", "description") if name in sent}
        added = [label for label in sent.get("add_labels", "").split(",") if label]
        gone = sent.get("remove_labels", "").split(",")
        one["labels"] = [label for label in dict.fromkeys([*one["labels"], *added]) if label not in gone]
        if sent.get("state_event") == "close":
            one["state"] = "closed"
        return 200, self._merge_request(one)

    def gitlab_note(self, project: str, number: str, sent: Any) -> tuple[int, Any]:
        self.forge.notes.append((int(number), sent["body"]))
        return 201, {"id": len(self.forge.notes), "body": sent["body"]}

    def gitlab_group(self, group: str, sent: Any) -> tuple[int, Any]:
        projects = [project for project in self.forge.projects() if project.startswith(f"{group}/")]
        return 200, [
            {
                "id": index,
                "path": project.partition("/")[2],
                "http_url_to_repo": f"{self.forge.url}/{project}.git",
                "archived": False,
                "topics": ["python"] if "pay" in project else [],
            }
            for index, project in enumerate(projects)
            if project not in self.forge.archived
        ]

    def _merge_request(self, one: dict[str, Any]) -> dict[str, Any]:
        page = f"{self.forge.url}/{one['project']}/-/merge_requests/{one['number']}"
        return {"id": 1000 + one["number"], "iid": one["number"], "web_url": page, **one}

    # GitHub

    def github_list(self, project: str, sent: Any) -> tuple[int, Any]:
        branch = self.query["head"].partition(":")[2]
        return 200, [self._pull(one) for one in self.forge.open_of(project, branch)]

    def github_create(self, project: str, sent: Any) -> tuple[int, Any]:
        wanted = {"title": sent["title"], "description": sent["body"], "labels": [], "base": sent["base"]}
        made = self.forge.create(project, sent["head"], wanted)
        if made is None:
            return 422, {"message": "Validation Failed", "errors": [{"message": "A pull request already exists."}]}
        return 201, self._pull(made)

    def github_get(self, project: str, number: str, sent: Any) -> tuple[int, Any]:
        return 200, self._pull(self.forge.requests[int(number) - 1])

    def github_update(self, project: str, number: str, sent: Any) -> tuple[int, Any]:
        one = self.forge.requests[int(number) - 1]
        one |= {ours: sent[theirs] for theirs, ours in GITHUB_NAMES.items() if theirs in sent}
        return 200, self._pull(one)

    def github_labels(self, project: str, number: str, sent: Any) -> tuple[int, Any]:
        one = self.forge.requests[int(number) - 1]
        added = sent if isinstance(sent, list) else sent["labels"]  # GitHub takes both
        one["labels"] = list(dict.fromkeys([*one["labels"], *added]))
        return 200, [{"name": label} for label in one["labels"]]

    def github_unlabel(self, project: str, number: str, label: str, sent: Any) -> tuple[int, Any]:
        self.forge.requests[int(number) - 1]["labels"].remove(label)
        return 200, []

    def github_comment(self, project: str, number: str, sent: Any) -> tuple[int, Any]:
        self.forge.notes.append((int(number), sent["body"]))
        return 201, {"id": 1, "body": sent["body"]}

    def github_organisation(self, organisation: str, sent: Any) -> tuple[int, Any]:
        url = f"{self.forge.url}/api/v3/orgs/{organisation}"
        return 200, {"login": organisation, "url": url, "repos_url": f"{url}/repos"}

    def github_repositories(self, organisation: str, sent: Any) -> tuple[int, Any]:
        projects = [project for project in self.forge.projects() if project.startswith(f"{organisation}/")]
        return 200, [
            {
                "name": project.partition("/")[2],
                "full_name": project,
                "clone_url": f"{self.forge.url}/{project}.git",
                "archived": project in self.forge.archived,
                "topics": ["python"] if "pay" in project else [],
            }
            for project in projects
        ]

    def _pull(self, one: dict[str, Any]) -> dict[str, Any]:
        api = f"{self.forge.url}/api/v3/repos/{one['project']}"
        return {
            "number": one["number"],
            "url": f"{api}/pulls/{one['number']}",
            "issue_url": f"{api}/issues/{one['number']}",
            "html_url": f"{self.forge.url}/{one['project']}/pull/{one['number']}",
            "title": one["title"],
            "body": one["description"],
            "state": one["state"],
            "labels": [{"name": label} for label in one["labels"]],
        }


def _packets(body: bytes) -> Iterator[str]:
    """The lines of git's protocol, "" for the end of a list, until the pack begins."""
    while body[:4] != b"PACK" and len(body) >= 4:
        size = int(body[:4], 16) or 4
        yield body[4:size].decode().rstrip("\n")
        body = body[size:]


GITHUB_NAMES = {"title": "title", "body": "description", "state": "state"}
LAB = r"/api/v4/projects/([\w./-]+?)/merge_requests"
HUB = r"/api/v3/repos/([\w.-]+/[\w.-]+)"
ROUTES: list[tuple[str, Any]] = [
    (rf"GET {LAB}", Handler.gitlab_list),
    (rf"POST {LAB}", Handler.gitlab_create),
    (rf"PUT {LAB}/(\d+)", Handler.gitlab_update),
    (rf"POST {LAB}/(\d+)/notes", Handler.gitlab_note),
    (r"GET /api/v4/groups/([\w.-]+)/projects", Handler.gitlab_group),
    (rf"GET {HUB}/pulls", Handler.github_list),
    (rf"POST {HUB}/pulls", Handler.github_create),
    (rf"GET {HUB}/pulls/(\d+)", Handler.github_get),
    (rf"PATCH {HUB}/pulls/(\d+)", Handler.github_update),
    (rf"POST {HUB}/issues/(\d+)/labels", Handler.github_labels),
    (rf"DELETE {HUB}/issues/(\d+)/labels/([\w-]+)", Handler.github_unlabel),
    (rf"POST {HUB}/issues/(\d+)/comments", Handler.github_comment),
    (r"GET /api/v3/orgs/([\w.-]+)", Handler.github_organisation),
    (r"GET /api/v3/orgs/([\w.-]+)/repos", Handler.github_repositories),
]


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Forge]:
    """A forge whose repositories are `folder`/<group>/<name>.git."""
    forge = Forge(folder)
    handler = type("OfOneForge", (Handler,), {"forge": forge})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    forge.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
    thread.start()
    try:
        yield forge
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
