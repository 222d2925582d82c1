"""The hard cases of state: answers, questions that come and go, and memories that are not as they were written."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.version import Version

from conftest import commit, git
from histories import QUESTIONS, History, answers_of, edit, plain, rolled_up, team_s, twelvefold, write
from trees import tree

ABOUT = {"owned/about.txt": "<< cookiecutter.project_name >>\n"}


def answer(service: Path, **answers: object) -> None:
    """Change stored answers by hand."""
    write(service, ".twelvefold/answers.json", json.dumps({**answers_of(service), **answers}))


@pytest.mark.parametrize(
    "text",
    [
        "100 % of %(x)s",
        "\"double\" 'single' `back` \\",
        "Žluťoučký кůň 🐎",
        "two\nlines\r\nand a \ttab",
        "{{ cookiecutter.project_slug }}",
        "<< 7 * 7 >>",
        "<% raw %>x<% endraw %>{% endraw %}",
        "<# nothing #>",
        "../../etc/passwd",
        "$(touch owned) `touch owned`",
        " padded ",
        "",
        "x" * 100_000,
    ],
    ids=lambda text: text[:20],
)
def test_an_answer_is_a_text_and_nothing_else(text: str, history: History, service: Path, tmp_path: Path) -> None:
    history.release("0.2.0", ABOUT)
    rolled_up(history, service, "0.2.0", "--answer", f"project_name={text}")
    rendered = (service / "owned/about.txt").read_bytes().decode()
    assert rendered == f"{text}\n"
    assert answers_of(service)["project_name"] == text
    assert "Nothing to do" in rolled_up(history, service, "0.2.0")
    history.release("0.3.0", {"owned/core.py": "NEW = 3\n"})
    rolled_up(history, service, "0.3.0")
    assert (service / "owned/about.txt").read_bytes().decode() == rendered
    assert answers_of(service)["project_name"] == text
    assert not list(tmp_path.rglob("touch*"))


@pytest.mark.parametrize("slug", ["../../outside", "/tmp/outside", "..", ".git", "a/b", "x" * 300, "", "nul\0"])  # noqa: S108
def test_an_answer_that_names_a_file_leads_nowhere_else(
    slug: str, history: History, service: Path, tmp_path: Path
) -> None:
    answer(service, project_slug=slug)
    commit(service, "By hand")
    history.release("0.2.0", ABOUT)
    before = tree(tmp_path)
    said = rolled_up(history, service, "0.2.0", exit_code=2)
    assert "project_slug = " in said
    assert "cannot name a file or folder" in said
    assert len(said) < 300
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"_extensions": ["os"]}, "sets _extensions, which is the template's. Remove that line."),
        ({"project_name": 1}, "project_name must be a text, true or false, not 1. Change that line."),
        ({"project_name": None}, "must be a text, true or false, not null"),
        ({"project_name": ["a"]}, "must be a text, true or false, not a list"),
        ({"project_name": "\ud800"}, "is no Unicode text"),
    ],
)
def test_answers_edited_by_hand_are_checked(
    answers: dict[str, object], said: str, history: History, service: Path
) -> None:
    answer(service, **answers)
    before = tree(service)
    out = rolled_up(history, service, "0.1.0", exit_code=2)
    assert said in out
    assert "/tmp" not in out  # noqa: S108 - the file is the service's, not one in a scratch folder
    assert tree(service) == before


def test_an_answer_changed_by_hand_is_taken(history: History, service: Path) -> None:
    answer(service, database=True)
    rolled_up(history, service, "0.1.0")
    assert '"sqlalchemy"' in (service / "pyproject.toml").read_text()
    answer(service, database=False)
    rolled_up(history, service, "0.1.0")
    assert '"sqlalchemy"' not in (service / "pyproject.toml").read_text()
    assert "Nothing to do" in rolled_up(history, service, "0.1.0")


def test_new_removed_and_renamed_questions(history: History, service: Path) -> None:
    answer(service, project_name="Ours")
    history.questions = {
        "title": "Untitled",
        **{name: QUESTIONS[name] for name in ("project_slug", "package_name", "database")},
        "region": "eu",
    }
    history.migrations = {"questions": {"project_name": "title"}}
    history.release("0.2.0", {"owned/about.txt": "<< cookiecutter.title >> <<cookiecutter.region>>\n"})
    said = rolled_up(history, service, "0.2.0")
    assert "The template asks region now; it takes the default, eu. For another: --answer region=..." in said
    assert "The template does not ask ci any more; your answer was gitlab." in said
    assert answers_of(service)["title"] == "Ours"
    assert set(answers_of(service)) == {"title", "project_slug", "package_name", "database", "region"}
    assert (service / "owned/about.txt").read_text() == "Ours eu\n"
    assert "Nothing to do" in rolled_up(history, service, "0.2.0")


def test_a_choice_that_went_is_mapped_or_becomes_the_first(history: History, service: Path) -> None:
    history.questions["ci"] = ["jenkins", "github"]
    history.release("0.2.0")
    said = rolled_up(history, service, "0.2.0")
    assert "The template has no ci = gitlab any more; it is jenkins now." in said
    assert answers_of(service)["ci"] == "jenkins"
    history.questions["ci"] = ["woodpecker", "github"]
    history.migrations = {"choices": {"ci": {"jenkins": "github"}}}
    history.release("0.3.0")
    assert "The template has no ci = jenkins any more; it is github now." in rolled_up(history, service, "0.3.0")
    assert answers_of(service)["ci"] == "github"


def test_a_question_may_change_its_type(history: History, service: Path) -> None:
    history.questions |= {"database": "postgres", "project_name": False}
    history.release("0.2.0")
    said = rolled_up(history, service, "0.2.0")
    assert "The template takes the text false for database now; your answer was false." in said
    assert "The template takes false for project_name now; your answer was Pay API." in said
    assert answers_of(service)["database"] == "false"
    assert answers_of(service)["project_name"] is False
    assert "Nothing to do" in rolled_up(history, service, "0.2.0")


@pytest.mark.parametrize("name", ["answers.json", "manifest.json", "template.json"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "is missing. Restore it: git checkout -- .twelvefold/"),
        ("<<<<<<< HEAD\n{}\n=======\n[]\n>>>>>>> theirs\n", "holds the conflict marks of a git merge"),
        ("{", "is not JSON"),
        ("[]", "holds no JSON object"),
        ("\udcff", "is not JSON"),
    ],
    ids=["missing", "conflict", "cut off", "a list", "bytes"],
)
def test_a_memory_that_cannot_be_used_is_refused(
    name: str, text: str | None, said: str, history: History, service: Path
) -> None:
    memory = service / ".twelvefold" / name
    memory.unlink()
    if text is not None:
        memory.write_bytes(text.encode(errors="surrogateescape"))
    before = tree(service)
    out = rolled_up(history, service, "0.1.0", exit_code=2)
    assert f".twelvefold/{name} {said}" in out or (f".twelvefold/{name} is not JSON" in out and said in out)
    done = twelvefold("status", service)
    assert (done.exit_code, f".twelvefold/{name}" in done.output) == (2, True)
    assert tree(service) == before


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "a//b", ".git/config", "a/../../b", ""])
def test_a_manifest_that_leads_out_is_refused(path: str, history: History, service: Path) -> None:
    manifest = json.loads((service / ".twelvefold/manifest.json").read_text())
    manifest[path] = {"owner": "owned", "mode": "644", "sha256": "0" * 64}
    write(service, ".twelvefold/manifest.json", json.dumps(manifest))
    assert "is no path in a service" in rolled_up(history, service, "0.1.0", exit_code=2)


@pytest.mark.parametrize(
    "entry", [1, {}, {"owner": "owned", "mode": "rw", "sha256": ""}, {"owner": 1, "mode": 644, "sha256": None}]
)
def test_a_manifest_with_a_damaged_entry_is_refused(entry: object, history: History, service: Path) -> None:
    manifest = json.loads((service / ".twelvefold/manifest.json").read_text())
    write(service, ".twelvefold/manifest.json", json.dumps({**manifest, "owned/core.py": entry}))
    said = rolled_up(history, service, "0.1.0", exit_code=2)
    assert ".twelvefold/manifest.json is damaged at owned/core.py. Restore it: git checkout -- " in said


def test_a_memory_of_the_first_days_is_brought_up_to_date(history: History, service: Path) -> None:
    """It has neither `content` nor `memory`."""
    stamp = json.loads((service / ".twelvefold/template.json").read_text())
    write(service, ".twelvefold/template.json", json.dumps({name: stamp[name] for name in ("url", "version")}))
    edit(service, "pyproject.toml", "line-length = 100", "line-length = 120")
    said = rolled_up(history, service, "0.1.0")
    assert "Only the rollup's memory changes" in said
    assert json.loads((service / ".twelvefold/template.json").read_text()) == stamp
    assert "Nothing to do" in rolled_up(history, service, "0.1.0")


COPY = ".twelvefold/applied/pyproject.toml"


@pytest.mark.parametrize("newest", ["0.1.0", "0.2.0"])
@pytest.mark.parametrize("text", [None, "", "<<<<<<< ours\n", "[tool.ruff]\n", "\udcff"], ids=ascii)
def test_a_file_whose_last_applied_copy_is_not_one_is_left(
    text: str | None, newest: str, history: History, service: Path
) -> None:
    """Nobody knows then who wrote what. The way out that is printed works, and costs no edit."""
    pyproject = history.files["pyproject.toml"]
    changes = {"pyproject.toml": pyproject.replace('"click",', '"anyio",\n  "click",'), "owned/core.py": "NEW = 2\n"}
    history.release("0.2.0", changes)
    (service / COPY).unlink()
    if text is not None:
        (service / COPY).write_bytes(text.encode(errors="surrogateescape"))
    edit(service, "pyproject.toml", "line-length = 100", "line-length = 120")
    edit(service, "pyproject.toml", '"click",', '"click",\n  "ours",')
    before = tree(service)
    for _ in range(2):  # the second time it is no less true
        said = rolled_up(history, service, newest, exit_code=2)
        after = tree(service)
        assert {path: after.get(path) for path in ("pyproject.toml", COPY)} == {
            path: before.get(path) for path in ("pyproject.toml", COPY)
        }
    assert (service / "owned/core.py").read_text() == history_s(history, newest, "owned/core.py")
    assert json.loads((service / ".twelvefold/template.json").read_text())["version"] == newest
    way = re.search(r"restore it and commit: (git checkout \S+ -- \S+)", said)
    assert way, said
    subprocess.run(shlex.split(way[1]), cwd=service, check=True, capture_output=True)
    rolled_up(history, service, newest)
    now = (service / "pyproject.toml").read_text()
    assert ("line-length = 120" in now, '"ours",' in now, '"anyio",' in now) == (True, True, newest == "0.2.0")
    assert "Nothing to do" in rolled_up(history, service, newest)


def history_s(history: History, version: str, path: str) -> str:
    """What the template has at `path` in that version."""
    return git(history.repository, "show", f"{version}:<<cookiecutter.project_slug>>/{path}")


def test_a_last_applied_copy_that_no_commit_has_can_be_given_up(
    history: History, service: Path, tmp_path: Path
) -> None:
    """As in a clone without the history: then the file is merged as at an adoption."""
    write(service, COPY, "lost = true\n")
    edit(service, "pyproject.toml", '"click",', '"click",\n  "ours",')
    commit(service, "Damaged")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{service}", str(clone))
    said = rolled_up(history, clone, "0.1.0", exit_code=2)
    assert "take the entry of pyproject.toml out of .twelvefold/manifest.json and commit" in said
    manifest = json.loads((clone / ".twelvefold/manifest.json").read_text())
    del manifest["pyproject.toml"]
    write(clone, ".twelvefold/manifest.json", json.dumps(manifest))
    rolled_up(history, clone, "0.1.0")
    assert '"ours",' in (clone / "pyproject.toml").read_text()
    assert "Nothing to do" in rolled_up(history, clone, "0.1.0")


def test_check_status_and_plain_scaraplate_know_of_a_damaged_copy(history: History, service: Path) -> None:
    write(service, COPY, "lost = true\n")
    commit(service, "Damaged")
    before = tree(service)
    said = rolled_up(history, service, "0.1.0", "--check", exit_code=2)
    assert f"pyproject.toml: left as it is: {COPY} does not hash as .twelvefold/manifest.json says" in said
    done = twelvefold("status", service, "--template", history.repository)
    assert (done.exit_code, f"pyproject.toml cannot be merged: {COPY} does not hash" in done.output) == (1, True)
    done = plain(history, service)
    assert (done.exit_code, f"pyproject.toml cannot be merged: {COPY} does not hash" in done.output) == (2, True)
    assert tree(service) == before


def test_a_copy_that_was_given_up_is_no_base_of_plain_scaraplate_s_either(history: History, service: Path) -> None:
    """Else what the team has, and the damaged copy too, would be taken for dropped by the template."""
    edit(service, "pyproject.toml", '"click",', '"click",\n  "ours",')
    edit(service, COPY, '"click",', '"click",\n  "ours",')
    manifest = json.loads((service / ".twelvefold/manifest.json").read_text())
    for entry in (None, {**manifest["pyproject.toml"], "sha256": ""}):
        others = {path: one for path, one in manifest.items() if path != "pyproject.toml"}
        given_up = others if entry is None else {**others, "pyproject.toml": entry}
        write(service, ".twelvefold/manifest.json", json.dumps(given_up))
        commit(service, "Given up")
        assert plain(history, service).exit_code == 0
        assert '"ours",' in (service / "pyproject.toml").read_text()
        git(service, "reset", "--quiet", "--hard")


@pytest.mark.parametrize("attributes", [None, "* text=auto eol=crlf\n"])
def test_line_ends_that_git_checks_out_damage_no_copy(
    attributes: str | None, history: History, service: Path, tmp_path: Path
) -> None:
    if attributes:
        write(service, ".gitattributes", attributes)
        commit(service, "Attributes")
    clone = tmp_path / "clone" / service.name
    setting = () if attributes else ("-c", "core.autocrlf=true")
    git(tmp_path, "clone", "--quiet", *setting, str(service), str(clone))
    assert b"\r\n" in (clone / COPY).read_bytes()
    pyproject = history.files["pyproject.toml"]
    history.release("0.2.0", {"pyproject.toml": pyproject.replace('"click",', '"anyio",\n  "click",')})
    done = twelvefold("rollup", clone, "--template", history.repository, "--no-lock")
    assert "left as it is" not in done.output
    assert b'"anyio",\r\n' in (clone / "pyproject.toml").read_bytes()


def test_a_memory_that_is_in_git_alone_is_not_taken_for_none(history: History, service: Path) -> None:
    git(service, "status")
    git(service, "sparse-checkout", "set", "seeds")
    assert not (service / ".twelvefold").exists()
    done = twelvefold("rollup", service, "--template", history.repository)
    assert (done.exit_code, "git sparse-checkout add .twelvefold" in done.output) == (2, True), done.output


def test_what_was_left_by_one_update_is_merged_by_the_next_from_where_it_was(history: History, service: Path) -> None:
    """The memory did not advance for a file that did not parse: what the template changed meanwhile is not lost."""
    whole = (service / "pyproject.toml").read_text()
    write(service, "pyproject.toml", "[project\n")
    pyproject = history.files["pyproject.toml"]
    history.release("0.2.0", {"pyproject.toml": pyproject.replace('"click",', '"anyio",\n  "click",')})
    rolled_up(history, service, "0.2.0", exit_code=2)
    history.release("0.3.0", {"owned/core.py": "NEW = 3\n"})
    rolled_up(history, service, "0.3.0", exit_code=2)
    write(service, "pyproject.toml", whole.replace("line-length = 100", "line-length = 120"))
    rolled_up(history, service, "0.3.0")
    text = (service / "pyproject.toml").read_text()
    assert '"anyio",' in text
    assert "line-length = 120" in text
    assert "Nothing to do" in rolled_up(history, service, "0.3.0")


def test_a_repository_that_was_never_rendered_is_told_to_adopt(history: History, tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    write(tmp_path / "ours", "app.py", "APP = 1\n")
    commit(tmp_path / "ours", "Ours")
    for command in ("rollup", "status"):
        done = twelvefold(command, tmp_path / "ours")
        assert done.exit_code == 2
        assert f"To begin: twelvefold adopt {tmp_path / 'ours'}" in done.output


def test_a_service_of_plain_scaraplate_is_told_to_adopt_and_keeps_its_answers(history: History, service: Path) -> None:
    import shutil

    shutil.rmtree(service / ".twelvefold")
    conf = "[cookiecutter_context]\nproject_name = 50% Ours\nproject_slug = pay-api\nci = github\nother = 1\n"
    write(service, ".scaraplate.conf", conf)
    commit(service, "Made by scaraplate")
    done = twelvefold("rollup", service)
    assert (done.exit_code, "twelvefold adopt" in done.output) == (2, True)
    done = twelvefold("adopt", service, "--template", history.repository, "--yes", "--no-lock")
    assert done.exit_code == 0, done.output
    assert answers_of(service) == {**QUESTIONS, "project_name": "50% Ours", "ci": "github"}
    assert (
        "The answers are those of .scaraplate.conf, which nothing reads any more: git rm .scaraplate.conf"
        in done.output
    )


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"engine": "99.0"}, "needs twelvefold 99.0, and this is"),
        ({"engine": "newest"}, "engine must be a version, such as"),
        ({"strategy_mapping": {}}, "strategy_mapping is not one of git_remote_type"),
        ({"strategies_mapping": []}, "has no strategies_mapping"),
        ({"ownership": {}}, "ownership does not say what"),
        ({"ownership": ["owned"]}, "ownership maps strategies to"),
        ({"migrations": {"path": {}}}, "migrations takes paths, folders, questions and choices"),
        ({"migrations": {"paths": ["a"]}}, "migrations map texts to texts"),
        ({"migrations": {"choices": {"ci": "x"}}}, "migrations map texts to texts"),
        ({"migrations": {"paths": {"a": "{{ b"}}}, "a path cannot be rendered"),
        ({"migrations": {"paths": {"a": "../b"}}}, "'../b' is no path in a service"),
        ({"cookiecutter_context_type": "no.such.Class"}, "The template cannot be rendered"),
        ({"default_strategy": "no.such.Class"}, "The template cannot be rendered"),
    ],
    ids=str,
)
def test_rules_that_cannot_be_used_are_refused(
    rules: dict[str, object], said: str, history: History, service: Path
) -> None:
    history.rules = rules
    history.release("0.2.0", ABOUT)
    before = tree(service)
    assert said in rolled_up(history, service, "0.2.0", exit_code=2)
    assert tree(service) == before


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"format": "tomlo"}, "pyproject.toml: format must be one of"),
        ({"format": "toml", "key": {}}, "pyproject.toml: key is not one of path, format, keys"),
        ({"format": "toml", "keys": {"a..b": "team"}}, "'a..b' is no key path"),
        ({"format": "toml", "keys": {"project": "mine"}}, "project: 'mine' is no rule. Write owned, team"),
        ({"format": "toml", "keys": []}, "keys must map key paths to rules"),
    ],
    ids=str,
)
def test_a_rule_of_a_merged_file_that_cannot_be_used_is_refused(
    config: dict[str, object], said: str, history: History, service: Path
) -> None:
    history.merged["pyproject.toml"] = config
    history.release("0.2.0", ABOUT)
    assert said in rolled_up(history, service, "0.2.0", exit_code=2)


def test_an_engine_that_is_too_old_says_how_to_run_one_that_is_not(history: History, service: Path) -> None:
    history.rules = {"engine": "99.0"}
    history.release("0.2.0")
    said = rolled_up(history, service, "0.2.0", exit_code=2)
    assert f"This template needs twelvefold 99.0, and this is {Version(version('twelvefold'))}." in said
    assert f"uvx --from git+file://{history.repository}@99.0 twelvefold rollup" in said


def test_plain_scaraplate_refuses_rules_that_are_too_new_for_it(history: History, service: Path) -> None:
    history.rules = {"engine": "99.0"}
    history.release("0.2.0")
    before = tree(service)
    done = plain(history, service)
    assert done.exit_code == 2
    assert f"uvx --from git+file://{history.repository}@99.0 scaraplate rollup" in done.output
    assert tree(service) == before


def test_a_hook_of_the_template_that_fails_changes_nothing(history: History, service: Path) -> None:
    (history.repository / "hooks/pre_gen_project.py").write_text("{}['a lost key']\n")
    history.release("0.2.0", ABOUT)
    before = team_s(service)
    said = rolled_up(history, service, "0.2.0", exit_code=2)
    assert "The template cannot be rendered: KeyError: 'a lost key'" in said
    assert team_s(service) == before


def test_a_template_whose_questions_are_no_json_is_refused(history: History, service: Path) -> None:
    (history.repository / "cookiecutter.json").write_text("{")
    commit(history.repository, "Broken")
    git(history.repository, "tag", "0.2.0")
    assert "cookiecutter.json is not JSON" in rolled_up(history, service, "0.2.0", exit_code=2)
