"""The benchmark of rollups: that its checks can fail, and that every dialect says the same."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import rollup_checks as checks
import rollup_template as template
from rollup_checks import BASIC, HARD, Result

import rollup as bench


def write(folder: Path, version: str) -> Path:
    """What a fresh render of `version` is, whatever tool makes it."""
    for path, item in template.files(version).items():
        content = template.filled(item.content) if isinstance(item.content, str) else item.content
        checks.put(folder, path, content)
        (folder / template.filled(path)).chmod(0o755 if item.is_executable else 0o644)
    template.commit(folder, version)
    return folder


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("old"), "v1")


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("new"), "v3")


def test_there_are_as_many_checks_as_the_budgets_were_made_for() -> None:
    assert (len(BASIC), len(HARD)) == (21, 31)
    assert 55 <= len(template.files("v3")) <= 65


def test_a_service_that_was_not_rolled_up_fails_what_the_template_changed(old: Path) -> None:
    assert set(checks.failed(BASIC, Result(old))) == {
        *(
            "the team's dependency",
            "the template's dependency",
            "the template's lint setting",
            "the team's README line",
        ),
        *("the template's README line", "the team's CI job", "the template's CI job", "the team's source line"),
        *("a deleted seed stays deleted", "the new module", "the retired module is gone", "the renamed module"),
        *("its old name is gone", "the changed module", "the new script is executable", "the template's picture"),
    }


def test_an_overwritten_service_fails_what_the_team_wrote(new: Path) -> None:
    assert set(checks.failed(BASIC, Result(new))) == {
        *("the team's dependency", "the team's README line", "the team's CI job", "the team's source line"),
        "a deleted seed stays deleted",
    }
    assert set(checks.failed(HARD, Result(new))) == {
        *("the team's edit moved along", "an edited retired page", "the team's page of a new page's name"),
        *("the team's picture", "tox.ini keeps CRLF", "the team's tox environment", "the team's hook"),
        *("the team's comment", "the team's backing service", "the team's negated pattern"),
        *("the team's edit in a module", "the team's script stays executable", "a clash is told"),
    }


@pytest.fixture
def broken(new: Path, tmp_path: Path) -> Path:
    """What the two tests above leave: nothing parses, and the mergers left their marks."""
    service = Path(shutil.copytree(new, tmp_path / "broken"))
    for path in ("pyproject.toml", ".gitlab-ci.yml", ".pre-commit-config.yaml", "compose.yaml", "tox.ini", "setup.cfg"):
        checks.put(service, path, "<<<<<<< before\na: [\n=======\n}\n>>>>>>> after\n")
    checks.put(service, "README.md.rej", "@@\n")
    return service


def test_a_broken_service_fails_what_must_parse(broken: Path) -> None:
    found = {*checks.failed(BASIC, Result(broken)), *checks.failed(HARD, Result(broken))}
    assert found >= {
        *("pyproject.toml parses", ".gitlab-ci.yml parses", ".pre-commit-config.yaml parses", "compose.yaml parses"),
        *("tox.ini parses", "setup.cfg parses", "no conflict markers", "no rejected hunks"),
        *("the other dependencies", "the template's tox environment", "the template's newer hooks"),
        *("the template's new hook", "the template's mypy option", "the template's PostgreSQL"),
    }


def test_every_check_can_fail(old: Path, new: Path, broken: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    places = [Result(folder) for folder in (old, new, broken, tmp_path / "empty")]
    for name, check in {**BASIC, **HARD}.items():
        assert not all(check(place) for place in places), name


def test_a_clash_is_told_by_name_or_exit_code(new: Path) -> None:
    told = HARD["a clash is told"]
    assert told(Result(new, "kept yours: mkdocs.yml", 0))
    assert told(Result(new, "", 2))
    assert not told(Result(new, "Done!", 0))


def test_the_edits_are_possible_in_the_oldest_version(old: Path, tmp_path: Path) -> None:
    for name, edit in (("basic", checks.basic_edits), ("hard", checks.hard_edits)):
        edit(Path(shutil.copytree(old, tmp_path / name)))
    with pytest.raises(ValueError, match=r"README.md holds no"):
        checks.edit(old, "README.md", "nowhere", "")


@pytest.mark.parametrize("dialect", template.DIALECTS)
def test_every_dialect_has_the_versions_and_all_files(dialect: str, tmp_path: Path) -> None:
    repository = template.make(dialect, tmp_path / "template")
    assert template.git(repository, "tag").split() == list(template.VERSIONS)
    project = next(path.parent for path in repository.glob("*/pyproject.toml*"))
    found = {path.name.removesuffix(".jinja") for path in project.rglob("*") if path.is_file()}
    assert found >= {Path(path).name for path in template.files("v3")}
    assert not any(b"@slug@" in path.read_bytes() for path in project.rglob("*") if path.is_file())


def test_files_opened_for_writing_are_found_in_strace_s_log(tmp_path: Path) -> None:
    log = "\n".join(
        [
            f'7 openat(AT_FDCWD<{tmp_path}>, "a.txt", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3<{tmp_path}/a.txt>',
            f'7 openat(AT_FDCWD</>, "{tmp_path}/b.txt", O_RDWR|O_CLOEXEC) = 3<{tmp_path}/b.txt>',
            f'7 openat(AT_FDCWD<{tmp_path}>, "read.txt", O_RDONLY|O_CLOEXEC) = 3',
            f'7 openat(AT_FDCWD<{tmp_path}>, "none.txt", O_WRONLY) = -1 ENOENT (No such file or directory)',
            f'7 openat(AT_FDCWD<{tmp_path}>, ".git/index.lock", O_RDWR|O_CREAT|O_EXCL, 0666) = 3',
            '7 openat(AT_FDCWD</>, "/tmp/elsewhere", O_WRONLY) = 3',
            f'7 rename("{tmp_path}/.git/twelvefold/1", "{tmp_path}/c.txt") = 0',
            f'7 renameat2(AT_FDCWD</>, "/x", AT_FDCWD<{tmp_path}>, "d.txt", RENAME_NOREPLACE) = 0',
        ]
    )
    assert list(bench.paths_written(log, tmp_path)) == ["a.txt", "b.txt", "c.txt", "d.txt"]


def test_a_command_s_cpu_and_exit_code_are_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "CACHE", tmp_path)
    bench.environment.cache_clear()
    done = bench.run([sys.executable, "-c", "print('said'); sum(range(10**7)); raise SystemExit(3)"], tmp_path)
    assert (done.said, done.exit_code) == ("said\n", 3)
    assert done.cpu > 0.05
    missing = bench.run([tmp_path / "none"], tmp_path)
    assert missing.exit_code == 127
    bench.environment.cache_clear()


def test_a_peer_that_cannot_be_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "CACHE", tmp_path)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    with pytest.raises(bench.FailedError, match=r"copier 9\.19 could not be installed: "):
        bench.install(bench.TOOLS[2])
    assert not (bench.TOOLS[2].programs.parent / "complete").exists()
