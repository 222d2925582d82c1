"""The hard cases of runs: where a service may be, which template it may follow, and every option's edge."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from conftest import commit, git
from histories import History, edit, render, rolled_up, twelvefold, write
from trees import tree
from twelvefold.engine import transaction

TOKEN = "s3cr3t-t0k3n@x"  # noqa: S105
NEW = {"owned/core.py": "NEW = 2\n"}


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person trusts, and the clones, are apart for each test."""
    monkeypatch.setenv("TWELVEFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("TWELVEFOLD_TRUST", raising=False)


@pytest.fixture
def newer(history: History) -> History:
    history.release("0.2.0", NEW)
    return history


def is_new(service: Path) -> bool:
    return (service / "owned/core.py").read_text() == "NEW = 2\n"


def run(history: History, service: Path, *options: str | Path) -> tuple[int, str]:
    done = twelvefold("rollup", service, "--template", history.repository, "--no-lock", *options)
    return done.exit_code, done.output


@pytest.mark.parametrize("state", ["edited", "staged", "untracked", "deleted"])
def test_a_dirty_tree_is_refused_but_may_be_checked(state: str, newer: History, service: Path) -> None:
    if state == "deleted":
        (service / "README.md").unlink()
    else:
        write(service, "README.md" if state != "untracked" else "new.py", "ours\n")
    if state == "staged":
        git(service, "add", "--all")
    before = tree(service)
    code, said = run(newer, service)
    assert (code, tree(service)) == (2, before)
    assert "There are changes that are not committed (" in said
    assert "git stash -u" in said
    assert run(newer, service, "--check")[0] == 1
    assert tree(service) == before


def test_a_dirty_tree_in_which_there_is_nothing_to_do_is_fine(history: History, service: Path) -> None:
    write(service, "new.py", "ours\n")
    assert run(history, service) == (0, "pay-api: 0.1.0\nNothing to do.\n")


def test_a_detached_head(newer: History, service: Path) -> None:
    git(service, "switch", "--quiet", "--detach")
    rolled_up(newer, service, "0.2.0", "--commit")
    assert is_new(service)
    assert git(service, "status", "--porcelain") == ""
    assert git(service, "branch", "--show-current") == ""


def test_an_unborn_branch_is_refused(newer: History, service: Path) -> None:
    git(service, "checkout", "--quiet", "--orphan", "empty")
    code, said = run(newer, service)
    assert (code, "The repository has no commit yet" in said, is_new(service)) == (2, True, False)


def test_no_repository_is_refused(newer: History, service: Path) -> None:
    shutil.rmtree(service / ".git")
    code, said = run(newer, service)
    assert (code, is_new(service)) == (2, False)
    assert f"{service} is in no git repository" in said
    assert "git init && git add -A && git commit" in said


def test_no_folder_is_refused(tmp_path: Path) -> None:
    for command in ("rollup", "status", "adopt"):
        done = twelvefold(command, tmp_path / "nowhere")
        assert (done.exit_code, done.output) == (2, f"Error: {tmp_path / 'nowhere'} is no folder.\n")


def test_a_shallow_clone(newer: History, service: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{service}", "shallow")
    rolled_up(newer, tmp_path / "shallow", "0.2.0", "--commit")
    assert is_new(tmp_path / "shallow")


def test_a_worktree_has_a_journal_of_its_own(newer: History, service: Path, tmp_path: Path) -> None:
    git(service, "worktree", "add", "--quiet", "-b", "update", str(tmp_path / "worktree"))
    rolled_up(newer, tmp_path / "worktree", "0.2.0", "--commit")
    assert (is_new(tmp_path / "worktree"), is_new(service)) == (True, False)
    assert git(tmp_path / "worktree", "log", "-1", "--format=%s", "update").startswith(
        "chore: update from the template"
    )


def test_services_in_one_repository_have_nothing_to_do_with_each_other(
    newer: History, service: Path, tmp_path: Path
) -> None:
    """They have folders with other names than their slug, and the rest of the repository may be dirty."""
    shutil.rmtree(service / ".git")
    for name in ("first", "second service"):
        shutil.copytree(service, tmp_path / "mono/services" / name)
    commit(tmp_path / "mono", "Two services")
    first, second = (tmp_path / "mono/services" / name for name in ("first", "second service"))
    before = tree(second)
    write(tmp_path / "mono", "staged.txt", "somebody's\n")
    git(tmp_path / "mono", "add", "staged.txt")
    code, said = run(newer, first, "--commit")
    assert code == 0, said
    assert is_new(first)
    assert tree(second) == before
    assert git(tmp_path / "mono", "status", "--porcelain").strip() == "A  staged.txt"
    assert run(newer, second, "--commit")[0] == 0
    assert tree(first) == tree(second)
    assert "pay-api" in (first / "README.md").read_text()


def test_services_of_two_templates_in_one_repository_follow_each_its_own(
    newer: History, service: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them at the top, the other below it."""
    (tmp_path / "other").mkdir()
    other = History(tmp_path / "other")
    other.release("0.1.0", {"owned/other.py": "OTHER = 1\n"})
    (tmp_path / "rendered").mkdir()
    below = render(other, "0.1.0", tmp_path / "rendered")
    other.release("0.9.0", {"owned/other.py": "OTHER = 2\n"})
    shutil.rmtree(below / ".git")
    below = Path(shutil.copytree(below, service / "services/below"))
    url_of = json.loads((service / ".twelvefold/template.json").read_text())
    write(service, ".twelvefold/template.json", json.dumps({**url_of, "url": str(newer.repository)}))
    commit(service, "One more service")
    monkeypatch.setenv("TWELVEFOLD_TRUST", f"{newer.repository} {other.repository}")
    before = tree(below)
    assert twelvefold("rollup", service, "--no-lock", "--commit").exit_code == 0
    assert (is_new(service), tree(below)) == (True, before)
    top = {path: file for path, file in tree(service).items() if not path.startswith("services/")}
    done = twelvefold("rollup", below, "--no-lock", "--commit")
    assert (done.exit_code, "0.1.0 → 0.9.0" in done.output) == (0, True), done.output
    assert (below / "owned/other.py").read_text() == "OTHER = 2\n"
    assert {path: file for path, file in tree(service).items() if not path.startswith("services/")} == top


def test_a_template_that_is_not_committed_is_left_out_and_that_is_said(history: History, service: Path) -> None:
    history.files["owned/core.py"] = "NEW = 2\n"
    history.write("0.2.0.dev")
    code, said = run(history, service)
    assert code == 0
    assert f"{history.repository} has changes that are not committed; the update goes without them." in said
    assert "Nothing to do." in said


def test_a_tag_that_moved_is_followed(newer: History, service: Path) -> None:
    url = f"file://{newer.repository}"
    options = ("rollup", service, "--template", url, "--no-lock", "--commit")
    assert twelvefold(*options).exit_code == 0
    newer.write("0.2.0")
    newer.files["owned/core.py"] = "NEW = 3\n"
    newer.write("0.2.0")
    commit(newer.repository, "Once more")
    git(newer.repository, "tag", "--force", "0.2.0")
    done = twelvefold(*options)
    assert done.exit_code == 0, done.output
    assert (service / "owned/core.py").read_text() == "NEW = 3\n"


def test_a_downgrade_is_refused_unless_it_is_meant(newer: History, service: Path) -> None:
    before = tree(service)
    rolled_up(newer, service, "0.2.0", "--commit")
    code, said = run(newer, service, "--ref", "0.1.0")
    assert (code, is_new(service)) == (2, True)
    assert "--allow-downgrade" in said
    assert run(newer, service, "--ref", "0.1.0", "--allow-downgrade")[0] == 0
    assert tree(service) == before


def test_without_a_ref_it_is_the_newest_release_and_no_prerelease(newer: History, service: Path) -> None:
    newer.release("0.10.0", {"owned/core.py": "NEW = 10\n"})
    newer.release("0.11.0rc1", {"owned/core.py": "NEW = 11\n"})
    assert run(newer, service)[0] == 0
    assert (service / "owned/core.py").read_text() == "NEW = 10\n"


@pytest.mark.parametrize("ref", ["nowhere", "-x", "--all", "0" * 40, "a b", "HEAD:owned", "..", "\x7f"])
def test_an_unknown_ref_is_refused(ref: str, newer: History, service: Path) -> None:
    done = twelvefold("rollup", service, f"--template={newer.repository}", f"--ref={ref}")
    assert done.exit_code == 2
    assert f"{newer.repository} has no tag, branch or commit" in done.output


def test_a_branch_and_a_commit_are_refs_too(newer: History, service: Path) -> None:
    git(newer.repository, "branch", "next")
    assert run(newer, service, "--ref", "next", "--commit")[0] == 0
    assert is_new(service)
    assert run(newer, service, "--ref", git(newer.repository, "rev-parse", "--short", "HEAD").strip()) == (
        0,
        "pay-api: 0.2.0\nNothing to do.\n",
    )


def test_a_template_without_a_release_or_that_is_none(history: History, service: Path, tmp_path: Path) -> None:
    git(history.repository, "tag", "--delete", "0.1.0")
    code, said = run(history, service)
    assert (code, "has no release yet. Name a branch or commit: --ref main" in said) == (2, True)
    (tmp_path / "other").mkdir()
    for message, options in {
        "is no git repository": ("--template", tmp_path / "other"),
        "is no folder and no URL": ("--template", tmp_path / "nowhere"),
        "has no cookiecutter.json": ("--template", service, "--ref", "HEAD"),
    }.items():
        done = twelvefold("rollup", service, *options)
        assert (done.exit_code, message in done.output) == (2, True), done.output


@pytest.fixture
def url_with_a_token(newer: History, tmp_path: Path) -> Iterator[str]:
    bare = tmp_path / "served/template.git"
    bare.parent.mkdir()
    git(tmp_path, "clone", "--quiet", "--bare", str(newer.repository), str(bare))
    git(bare, "update-server-info")
    expected = "Basic " + base64.b64encode(f"user:{TOKEN}".encode()).decode()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("Authorization") == expected:
                super().do_GET()
                return
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()

        def log_request(self, code: object = "-", size: object = "-") -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=bare.parent)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://user:{TOKEN.replace('@', '%40')}@127.0.0.1:{server.server_port}/template.git"
        server.shutdown()


@pytest.mark.parametrize("exists", [True, False])
def test_a_token_in_a_url_goes_nowhere(exists: bool, url_with_a_token: str, service: Path, tmp_path: Path) -> None:
    url = url_with_a_token if exists else url_with_a_token.replace("template.git", "nowhere.git")
    report = tmp_path / "report.md"
    options = ("--template", url, "--commit", "--no-lock", "--report", report)
    done = twelvefold("rollup", service, *options)
    assert done.exit_code == (0 if exists else 3), done.output
    assert is_new(service) == exists
    status = twelvefold("status", service, "--template", url)
    adopted = twelvefold("adopt", tmp_path / "served", "--template", url)
    log = git(service, "log", "-1", "--format=%B")
    for text in (done.output, status.output, adopted.output, log, report.read_text() if exists else ""):
        assert "t0k3n" not in text
        assert "Traceback" not in text
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and b"t0k3n" in path.read_bytes()]
    assert kept == []


def test_the_template_that_a_service_names_must_be_trusted_once(
    newer: History, service: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp = json.loads((service / ".twelvefold/template.json").read_text())
    url = str(newer.repository)
    write(service, ".twelvefold/template.json", json.dumps({**stamp, "url": url}))
    commit(service, "Follow another template")
    before = tree(service)
    done = twelvefold("rollup", service, "--no-lock")
    assert (done.exit_code, tree(service)) == (2, before)
    assert f"twelvefold trust {url}" in done.output
    monkeypatch.setenv("TWELVEFOLD_TRUST", f"https://other.example {url}")
    assert twelvefold("rollup", service, "--check").exit_code == 1
    monkeypatch.delenv("TWELVEFOLD_TRUST")
    done = twelvefold("trust", url)
    assert (done.exit_code, str(tmp_path / "config/twelvefold/trusted") in done.output) == (0, True)
    assert twelvefold("trust", url).exit_code == 0
    assert (tmp_path / "config/twelvefold/trusted").read_text() == f"{url}\n"
    assert twelvefold("rollup", service, "--no-lock").exit_code == 0
    assert is_new(service)


def test_trust_takes_no_token(tmp_path: Path) -> None:
    done = twelvefold("trust", f"https://user:{TOKEN}@git.example.com/org/template")
    assert "t0k3n" not in done.output
    assert (tmp_path / "config/twelvefold/trusted").read_text() == "https://git.example.com/org/template\n"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("databse=true", "The template does not ask databse. Did you mean database?"),
        ("colour=red", "It asks: project_name, project_slug, package_name, ci, database."),
        ("ci=jenkins", "ci is gitlab or github: --answer ci=gitlab"),
        ("database=perhaps", "database is true or false: --answer database=true"),
        ("database", "--answer takes QUESTION=ANSWER, such as ci=github; it was given 'database'."),
        ("_extensions=os", "The template does not ask _extensions."),
        ("=x", "The template does not ask an answer without a question."),
    ],
)
def test_an_answer_that_nobody_asked_for_is_refused(answer: str, said: str, history: History, service: Path) -> None:
    code, out = run(history, service, "--answer", answer)
    assert (code, said in out) == (2, True), out


def test_commit_commits_what_changed_and_says_why(newer: History, service: Path) -> None:
    edit(service, "notes.txt", "five", "5")
    rolled_up(newer, service, "0.2.0", "--commit")
    assert git(service, "status", "--porcelain") == ""
    subject, _, body = git(service, "log", "-1", "--format=%B").partition("\n")
    assert subject == "chore: update from the template, 0.1.0 to 0.2.0"
    assert "1 file: 1 changed." in body
    assert "owned/core.py" in git(service, "show", "--name-only", "--format=")


def test_a_commit_that_is_refused_leaves_the_update_and_says_so(newer: History, service: Path) -> None:
    write(service, ".git/hooks/pre-commit", "#!/bin/sh\necho Not on my watch >&2\nexit 1\n")
    (service / ".git/hooks/pre-commit").chmod(0o755)
    code, said = run(newer, service, "--commit")
    assert (code, is_new(service)) == (3, True)
    assert "The service is updated, but not committed: git commit: Not on my watch" in said


def test_a_new_branch_is_made_and_an_existing_one_goes_on(newer: History, service: Path) -> None:
    assert run(newer, service, "--branch", "up/date")[0] == 0
    assert git(service, "branch", "--show-current").strip() == "up/date"
    write(service, "notes.txt", "a reviewer's\n")
    commit(service, "A reviewer's")
    git(service, "switch", "--quiet", "main")
    assert not is_new(service)
    newer.release("0.3.0", {"owned/core.py": "NEW = 3\n"})
    code, said = run(newer, service, "--branch", "up/date")
    assert code == 0, said
    assert "0.2.0 → 0.3.0" in said
    assert (service / "notes.txt").read_text() == "a reviewer's\n"
    assert git(service, "log", "--format=%s", "main..").splitlines() == [
        "chore: update from the template, 0.2.0 to 0.3.0",
        "A reviewer's",
        "chore: update from the template, 0.1.0 to 0.2.0",
    ]


@pytest.mark.parametrize("branch", ["a b", "-x", "..", "x.lock", "@{-1}", "@", "HEAD"])
def test_a_name_that_no_branch_can_have_is_refused_first(branch: str, newer: History, service: Path) -> None:
    before = tree(service)
    done = twelvefold("rollup", service, f"--template={newer.repository}", "--no-lock", f"--branch={branch}")
    assert (done.exit_code, tree(service)) == (2, before)
    assert f"{branch!r} is no name for a branch. Type another, such as twelvefold/update" in done.output
    assert git(service, "branch", "--format=%(refname:short)").strip() == "main"


def test_a_branch_is_not_made_where_there_is_nothing_to_do(history: History, service: Path) -> None:
    assert run(history, service, "--branch", "update")[0] == 0
    assert git(service, "branch", "--format=%(refname:short)").strip() == "main"


def test_a_branch_that_another_worktree_has_is_refused(newer: History, service: Path, tmp_path: Path) -> None:
    git(service, "worktree", "add", "--quiet", "-b", "update", str(tmp_path / "worktree"))
    before = tree(service)
    code, said = run(newer, service, "--branch", "update")
    assert (code, tree(service)) == (3, before)
    assert "git switch: fatal: 'update' is already" in said


@pytest.mark.parametrize("name", ["report.txt", "report", "report.JSON"])
def test_a_report_of_another_kind_is_refused_first(name: str, newer: History, service: Path, tmp_path: Path) -> None:
    code, said = run(newer, service, "--report", tmp_path / name)
    assert (code, is_new(service)) == (2, False)
    assert "a report is FILE.md or FILE.json" in said


def test_a_report_in_no_folder_is_refused_first(newer: History, service: Path, tmp_path: Path) -> None:
    code, said = run(newer, service, "--report", tmp_path / "nowhere/report.md")
    assert (code, is_new(service)) == (2, False)
    assert f"{tmp_path / 'nowhere'} is no folder. Make it: mkdir -p" in said


def test_reports_say_what_the_terminal_says(newer: History, service: Path, tmp_path: Path) -> None:
    write(service, "Makefile", "ours:\n\techo `ours`\n")
    commit(service, "Ours")
    code, said = run(newer, service, "--report", tmp_path / "report.md", "--check")
    text = (tmp_path / "report.md").read_text()
    assert code == 1
    assert said.endswith("2 files would change: 2 changed. 1 decision to look at.\n")
    assert "An update would bring the service to version 0.2.0 of the template" in text
    assert "- `Makefile`: put back as the template has it" in text
    assert "-\techo `ours`" in text
    both = ("--report", tmp_path / "report.json", "--report", tmp_path / "again.md")
    code, said = run(newer, service, *both)
    assert (tmp_path / "again.md").read_text().startswith("# pay-api: 0.1.0 → 0.2.0")
    told = json.loads((tmp_path / "report.json").read_text())
    assert (code, told["from"], told["to"], told["needs_person"]) == (2, "0.1.0", "0.2.0", True)
    assert told["files"] == {"Makefile": "changed", "owned/core.py": "changed"}
    for decision in told["decisions"]:
        assert f"{decision['path']}: {decision['sentence']}" in said


def test_a_report_tells_what_is_new_in_the_template(newer: History, service: Path, tmp_path: Path) -> None:
    sections = ("0.3.0 - unreleased", "0.2.0 - 2026-02-01", "0.1.0 - 2026-01-01")
    (newer.repository / "CHANGELOG.md").write_text("\n\n".join(f"## {section}\n\n- News." for section in sections))
    newer.release("0.2.1")
    reports = ("--report", tmp_path / "report.md", "--report", tmp_path / "report.json")
    run(newer, service, *reports)
    assert (
        "What is new in the template</summary>\n\n### 0.2.0 - 2026-02-01\n\n- News.\n\n</details>"
        in (tmp_path / "report.md").read_text()
    )
    assert json.loads((tmp_path / "report.json").read_text())["changelog"] == "## 0.2.0 - 2026-02-01\n\n- News."
    run(newer, service, *reports)
    assert "What is new" not in (tmp_path / "report.md").read_text()


def test_heal_says_that_a_person_has_looked(newer: History, service: Path) -> None:
    write(service, "Makefile", "ours:\n")
    commit(service, "Ours")
    assert run(newer, service, "--check", "--heal")[0] == 1
    code, said = run(newer, service, "--heal")
    assert (code, "Makefile: put back as the template has it" in said) == (0, True)
    assert "to look at" not in said


def test_diff_is_a_patch_that_git_takes(newer: History, service: Path) -> None:
    newer.release("0.3.0", {"owned/more.py": "MORE = 1", "owned/run.sh": None, "seeds/new.py": "é\n"})
    code, patch = run(newer, service, "--diff")
    assert code == 1
    write(service.parent, "update.patch", patch)
    git(service, "apply", str(service.parent / "update.patch"))
    applied = tree(service)
    git(service, "reset", "--quiet", "--hard")
    git(service, "clean", "--quiet", "-fd")
    assert run(newer, service)[0] == 0
    assert tree(service) == applied


def fake_uv(folder: Path, script: str) -> Path:
    """A folder for PATH that has git and, if there is a script, uv."""
    folder.mkdir()
    (folder / "git").symlink_to(shutil.which("git") or "")
    if script:
        write(folder, "uv", f"#!/bin/sh\n{script}\n")
        (folder / "uv").chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("echo 'error: no solution' >&2; exit 1", 2, "uv.lock: could not be made new: error: no solution. Fix it"),
        ("echo 'error: https://me:t0k3n@host/simple' >&2; exit 1", 2, "made new: error: https://host/simple. Fix it"),
        ("", 2, "uv.lock: was not made new, because uv is not here. Run: make uv.lock"),
        ('while [ $# -gt 1 ]; do shift; done; echo locked > "$1/uv.lock"', 0, ""),
    ],
    ids=["fails", "leaks", "absent", "works"],
)
def test_the_lock_is_the_last_step(
    script: str, code: int, said: str, history: History, service: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.release("0.2.0", {"pyproject.toml": history.files["pyproject.toml"].replace('"click"', '"click>1"')})
    monkeypatch.setenv("PATH", str(fake_uv(tmp_path / "bin", script)))
    done = twelvefold("rollup", service, "--template", history.repository, "--commit")
    assert done.exit_code == code, done.output
    assert said in done.output
    assert '"click>1"' in (service / "pyproject.toml").read_text()
    assert (service / "uv.lock").exists() == (not code)
    monkeypatch.undo()
    assert git(service, "status", "--porcelain") == ""


@pytest.mark.parametrize(("arguments", "code"), [(["rollup", "--diff"], 1), (["status"], 1), (["rollup"], 0)])
def test_who_reads_no_further_does_not_change_the_outcome(
    arguments: list[str], code: int, newer: History, service: Path
) -> None:
    """As in `twelvefold rollup --diff | head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    entry = "from twelvefold.cli import main; main()"
    command: list[str | Path] = [sys.executable, "-c", entry, *arguments, service, "--template", newer.repository]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (code, "")
    assert not transaction.is_open(service / ".git/twelvefold/service")


@pytest.mark.parametrize(
    "arguments", [["rollup", "--nonsense"], ["nonsense"], ["trust"], ["rollup", "--ref"], ["status", "a", "b"]]
)
def test_click_s_own_complaints_are_bad_input(arguments: list[str]) -> None:
    assert twelvefold(*arguments).exit_code == 2
