"""The hard cases of files: one rollup meets most of them at once, and each test says what must come out."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conftest import commit, git
from histories import MERGED, History, edit, render, rolled_up, team_s, twelvefold, write
from trees import tree

PNG = b"\x89PNG\r\n\x1a\n\0\0\0"
ODD_NAMES = ("ü ñ.txt", "a b.txt", "[x].txt", "-rf.txt", "--.txt", "*.txt", "a'b\"c.txt", "😀.txt", ":(top).txt")
BEFORE = {
    **{f"owned/{name}": "one\n" for name in ODD_NAMES},
    "owned/renamed.py": "RENAMED = 1\n",
    "owned/renamed_edited.py": "RENAMED = 1\n",
    "seeds/renamed.py": "RENAMED = 1\n",
    "seeds/renamed_edited.py": "RENAMED = 1\n",
    "seeds/renamed_deleted.py": "RENAMED = 1\n",
    "seeds/contested.py": "CONTESTED = 1\n",
    "owned/contested.py": "CONTESTED = 1\n",
    "owned/contested_edited.py": "CONTESTED = 1\n",
    "owned/case.txt": "case\n",
    "owned/tool": "a file\n",
    "owned/kit/a.py": "A = 1\n",
    "owned/kit/deep/b.py": "B = 1\n",
    "owned/gone.py": "GONE = 1\n",
    "owned/gone_edited.py": "GONE = 1\n",
    "owned/gone_deleted.py": "GONE = 1\n",
    "seeds/gone.py": "GONE = 1\n",
    "seeds/gone_edited.py": "GONE = 1\n",
    "owned/deleted.py": "DELETED = 1\n",
    "seeds/deleted.py": "DELETED = 1\n",
    "more.txt": "one\ntwo\nthree\n",
    "moving.txt": "one\ntwo\nthree\nfour\nfive\n",
    "crlf.txt": "one\ntwo\nthree\nfour\nfive\n",
    "bom.txt": "one\ntwo\nthree\nfour\nfive\n",
    "latin.txt": "one\ntwo\nthree\nfour\nfive\n",
    "no_end.txt": "one\ntwo\nthree\nfour\nfive",
    "clash.txt": "one\ntwo\nthree\n",
    "emptied.txt": "one\n",
    "owned/empty.txt": "",
    "owned/filled.txt": "",
    "owned/emptied.txt": "one\n",
    "owned/no_end.txt": "one",
    "owned/crlf.txt": "one\ntwo\n",
    "owned/latin.txt": "one\n",
    "owned/tool.sh": "#!/bin/sh\n",
    "seeds/run.sh": "#!/bin/sh\n",
}
AFTER: dict[str, str | None] = {
    **{f"owned/{name}": "two\n" for name in ODD_NAMES},
    "owned/renamed.py": None,
    "owned/kernel.py": "RENAMED = 2\n",
    "owned/renamed_edited.py": None,
    "owned/kernel_edited.py": "RENAMED = 2\n",
    "seeds/renamed.py": None,
    "seeds/kernel.py": "RENAMED = 2\n",
    "seeds/renamed_edited.py": None,
    "seeds/kernel_edited.py": "RENAMED = 2\n",
    "seeds/renamed_deleted.py": None,
    "seeds/kernel_deleted.py": "RENAMED = 2\n",
    "seeds/contested.py": None,
    "seeds/ours.py": "CONTESTED = 2\n",
    "owned/contested.py": None,
    "owned/ours.py": "CONTESTED = 2\n",
    "owned/contested_edited.py": None,
    "owned/ours_too.py": "CONTESTED = 2\n",
    "owned/case.txt": None,
    "owned/Case.txt": "case\n",
    "owned/tool": None,
    "owned/tool/main.py": "TOOL = 1\n",
    "owned/kit/a.py": None,
    "owned/kit/deep/b.py": None,
    "owned/kit": "a file\n",
    "owned/gone.py": None,
    "owned/gone_edited.py": None,
    "owned/gone_deleted.py": None,
    "seeds/gone.py": None,
    "seeds/gone_edited.py": None,
    "owned/deleted.py": "DELETED = 2\n",
    "seeds/deleted.py": "DELETED = 2\n",
    "more.txt": "one\n2\nthree\n",
    "moving.txt": None,
    "moved.txt": "one\n2\nthree\nfour\nfive\n",
    "crlf.txt": "one\n2\nthree\nfour\nfive\n",
    "bom.txt": "one\n2\nthree\nfour\nfive\n",
    "latin.txt": "one\n2\nthree\nfour\nfive\n",
    "no_end.txt": "one\n2\nthree\nfour\nfive",
    "clash.txt": "one\nzwei\nthree\n",
    "emptied.txt": "one\n2\n",
    "owned/both_same.py": "BOTH = 1\n",
    "owned/both_other.py": "BOTH = 1\n",
    "seeds/both_same.py": "BOTH = 1\n",
    "seeds/both_other.py": "BOTH = 1\n",
    "both.txt": "template\n",
    "owned/filled.txt": "filled\n",
    "owned/emptied.txt": "",
    "owned/no_end.txt": "two",
    "owned/crlf.txt": "one\n2\n",
    "owned/latin.txt": "two\n",
    "owned/hidden.log": "hidden\n",
}
RENAMES = {
    "owned/renamed.py": "owned/kernel.py",
    "owned/renamed_edited.py": "owned/kernel_edited.py",
    "seeds/renamed.py": "seeds/kernel.py",
    "seeds/renamed_edited.py": "seeds/kernel_edited.py",
    "seeds/renamed_deleted.py": "seeds/kernel_deleted.py",
    "seeds/contested.py": "seeds/ours.py",
    "owned/contested.py": "owned/ours.py",
    "owned/contested_edited.py": "owned/ours_too.py",
    "owned/case.txt": "owned/Case.txt",
    "moving.txt": "moved.txt",
}
TEXTS = ("more", "crlf", "bom", "latin", "no_end", "clash", "emptied")


def text_files(*names: str) -> dict[str, dict[str, Any]]:
    return {**MERGED, **{f"{name}.txt": {"format": "text"} for name in names}}


@dataclass(frozen=True)
class Result:
    """What one rollup made of the team's edits, and what it said."""

    service: Path
    before: dict[str, tuple[int, bytes]]
    after: dict[str, tuple[int, bytes]]
    fresh: dict[str, tuple[int, bytes]]
    said: str
    report: dict[str, Any]

    def text(self, path: str) -> str:
        return self.after[path][1].decode()

    def outcomes(self, path: str) -> list[str]:
        return [decision["outcome"] for decision in self.report["decisions"] if decision["path"] == path]

    def patch(self, path: str) -> str:
        return "".join(decision["patch"] for decision in self.report["decisions"] if decision["path"] == path)


def edit_as_the_team(service: Path) -> None:
    for path in (
        "owned/renamed_edited.py",
        "seeds/renamed_edited.py",
        "owned/contested_edited.py",
        "owned/gone_edited.py",
        "seeds/gone_edited.py",
    ):
        write(service, path, "OURS = True\n")
    for path in (
        "seeds/renamed_deleted.py",
        "owned/gone_deleted.py",
        "owned/deleted.py",
        "seeds/deleted.py",
        "more.txt",
    ):
        (service / path).unlink()
    for path in ("seeds/ours.py", "owned/ours.py", "owned/ours_too.py"):
        write(service, path, "OURS = 'long since'\n")
    edit(service, "moving.txt", "five", "5")
    edit(service, "clash.txt", "two", "deux")
    write(service, "crlf.txt", "one\r\ntwo\r\nthree\r\nfour\r\n5\r\n")
    write(service, "bom.txt", "\ufeffone\ntwo\nthree\nfour\n5\n")
    (service / "latin.txt").write_bytes("one\ntwo\nthree\nfour\ncinqué\n".encode("latin-1"))
    edit(service, "no_end.txt", "five", "5")
    write(service, "emptied.txt", "")
    for folder in ("owned", "seeds"):
        write(service, f"{folder}/both_same.py", "BOTH = 1\n")
        write(service, f"{folder}/both_other.py", "BOTH = 'ours'\n")
    write(service, "both.txt", "team\n")
    write(service, "owned/crlf.txt", "one\r\ntwo\r\n")
    (service / "owned/latin.txt").write_bytes("é\n".encode("latin-1"))
    (service / "owned/logo.png").write_bytes(PNG + b"ours")
    (service / "seeds/photo.png").write_bytes(PNG + b"ours")
    (service / "owned/run.sh").chmod(0o644)
    (service / "owned/core.py").chmod(0o755)
    (service / "seeds/run.sh").chmod(0o755)
    (service / "ci.yml").chmod(0o755)
    edit(service, ".gitignore", ".env\n", ".env\n*.log\n")
    (service / "link").symlink_to("/etc")
    (service / "dangling").symlink_to("nowhere")


@pytest.fixture(scope="module")
def result(beginning: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("files")
    history = History(Path(shutil.copytree(beginning / "template", folder / "template")))
    history.merged = text_files(*TEXTS, "moving")
    history.binaries = {"owned/logo.png": PNG + b"1", "seeds/photo.png": PNG + b"1"}
    history.release("0.2.0", BEFORE)
    service = render(history, "0.2.0", folder)
    history.merged = text_files(*TEXTS, "moved", "both")
    history.binaries = {"owned/logo.png": PNG + b"2", "seeds/photo.png": PNG + b"2"}
    history.migrations = {"paths": RENAMES}
    history.executable |= {"owned/tool.sh"}
    history.release("0.3.0", AFTER)
    edit_as_the_team(service)
    commit(service, "The team's")
    before = tree(service)
    options = ("--commit", "--report", str(folder / "report.json"))
    said = rolled_up(history, service, "0.3.0", *options, exit_code=2)
    assert git(service, "status", "--porcelain", "--ignored") == ""
    (folder / "fresh").mkdir()
    fresh = tree(render(history, "0.3.0", folder / "fresh"))
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    again = rolled_up(history, service, "0.3.0", exit_code=2)
    assert again.endswith(
        "latin.txt: left as it is: it is not UTF-8 (byte 24). Save it as UTF-8 and update again\n"
        "Nothing to do. 1 decision to look at.\n"
    )
    return Result(service, before, tree(service), fresh, said, report)


def test_every_owned_file_is_as_a_fresh_render_has_it(result: Result) -> None:
    owned = {path: file for path, file in result.fresh.items() if path.startswith("owned/")}
    kept = {"owned/gone_edited.py", "owned/contested_edited.py"}
    assert {path: file for path, file in result.after.items() if path.startswith("owned/")} == owned | {
        path: result.before[path] for path in kept
    }


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_odd_name_is_a_name(name: str, result: Result) -> None:
    assert result.text(f"owned/{name}") == "two\n"
    assert result.outcomes(f"owned/{name}") == []


def test_a_renamed_file_moves(result: Result) -> None:
    assert "owned/renamed.py" not in result.after
    assert result.outcomes("owned/renamed.py") + result.outcomes("owned/kernel.py") == []


def test_edits_in_an_owned_file_are_healed_also_where_it_was_renamed(result: Result) -> None:
    assert "owned/renamed_edited.py" not in result.after
    assert result.outcomes("owned/kernel_edited.py") == ["healed"]
    assert "-OURS = True" in result.patch("owned/kernel_edited.py")
    healed = "owned/kernel_edited.py: put back as the template has it; yours was owned/renamed_edited.py\n"
    assert healed in result.said
    assert result.outcomes("owned/renamed_edited.py") == []


def test_a_renamed_seed_moves_as_it_is(result: Result) -> None:
    assert result.text("seeds/kernel.py") == "RENAMED = 1\n"
    assert "seeds/renamed.py" not in result.after


def test_the_team_s_edits_move_along_with_a_seed(result: Result) -> None:
    assert result.text("seeds/kernel_edited.py") == "OURS = True\n"
    assert "seeds/renamed_edited.py: moved, with your edits, to seeds/kernel_edited.py" in result.said


def test_a_deleted_seed_does_not_return_under_another_name(result: Result) -> None:
    assert not {"seeds/renamed_deleted.py", "seeds/kernel_deleted.py"} & set(result.after)


def test_a_merged_file_moves_with_the_edits_of_both(result: Result) -> None:
    assert result.text("moved.txt") == "one\n2\nthree\nfour\n5\n"
    assert "moving.txt" not in result.after
    assert "moving.txt: moved, with your edits, to moved.txt" in result.said


def test_a_seed_does_not_move_onto_a_file_of_the_team_s(result: Result) -> None:
    assert result.text("seeds/ours.py") == "OURS = 'long since'\n"
    assert "seeds/contested.py" not in result.after  # it was as the template had made it


def test_an_owned_file_that_moves_onto_one_of_the_team_s_shows_what_it_replaces(result: Result) -> None:
    assert result.outcomes("owned/ours.py") == ["healed"]
    assert "-OURS = 'long since'" in result.patch("owned/ours.py")
    assert "owned/contested.py" not in result.after


def test_edits_in_a_file_whose_new_place_is_taken_stay_where_they_are(result: Result) -> None:
    assert result.text("owned/contested_edited.py") == "OURS = True\n"
    assert result.outcomes("owned/contested_edited.py") == ["retired"]
    assert "-OURS = 'long since'" in result.patch("owned/ours_too.py")


def test_a_name_may_change_its_case_only(result: Result) -> None:
    assert "owned/case.txt" not in result.after
    assert result.text("owned/Case.txt") == "case\n"


def test_a_file_becomes_a_folder_and_a_folder_a_file(result: Result) -> None:
    assert result.text("owned/tool/main.py") == "TOOL = 1\n"
    assert result.text("owned/kit") == "a file\n"


def test_an_untouched_file_that_the_template_dropped_goes(result: Result) -> None:
    assert not {"owned/gone.py", "seeds/gone.py", "owned/gone_deleted.py"} & set(result.after)
    assert result.outcomes("owned/gone.py") + result.outcomes("owned/gone_deleted.py") == []


def test_an_edited_file_that_the_template_dropped_stays_and_is_reported(result: Result) -> None:
    assert result.text("owned/gone_edited.py") == "OURS = True\n"
    assert "owned/gone_edited.py: kept yours: the template has this file no more" in result.said
    assert result.text("seeds/gone_edited.py") == "OURS = True\n"
    assert result.outcomes("seeds/gone_edited.py") == ["kept"]


def test_what_the_team_deleted_returns_if_it_is_the_template_s(result: Result) -> None:
    assert result.text("owned/deleted.py") == "DELETED = 2\n"
    assert result.outcomes("owned/deleted.py") == ["returned"]
    assert result.text("more.txt") == "one\n2\nthree\n"
    assert result.outcomes("more.txt") == ["returned"]
    assert "seeds/deleted.py" not in result.after


def test_both_added_the_same(result: Result) -> None:
    for path in ("owned/both_same.py", "seeds/both_same.py"):
        assert (result.text(path), result.outcomes(path)) == ("BOTH = 1\n", [])


def test_both_added_another(result: Result) -> None:
    assert result.text("owned/both_other.py") == "BOTH = 1\n"
    assert "-BOTH = 'ours'" in result.patch("owned/both_other.py")
    assert "owned/both_other.py: put back" not in result.said  # it never was the template's
    assert result.text("seeds/both_other.py") == "BOTH = 'ours'\n"
    assert result.text("both.txt") == "team\n"
    assert result.outcomes("both.txt") == ["conflict"]


def test_an_empty_file_is_a_file(result: Result) -> None:
    assert result.text("owned/empty.txt") == result.text("owned/emptied.txt") == ""
    assert result.text("owned/filled.txt") == "filled\n"
    assert result.text("emptied.txt") == ""
    assert result.outcomes("emptied.txt") == ["conflict"]


def test_the_last_line_need_not_end(result: Result) -> None:
    assert result.text("owned/no_end.txt") == "two"
    assert result.text("no_end.txt") == "one\n2\nthree\nfour\n5"


def test_line_ends_and_a_byte_order_mark_are_the_team_s(result: Result) -> None:
    assert result.after["crlf.txt"][1] == b"one\r\n2\r\nthree\r\nfour\r\n5\r\n"
    assert result.text("bom.txt") == "\ufeffone\n2\nthree\nfour\n5\n"
    assert result.text("owned/crlf.txt") == "one\n2\n"


def test_a_text_that_is_not_utf_8_is_left_and_reported(result: Result) -> None:
    assert result.after["latin.txt"] == result.before["latin.txt"]
    assert "latin.txt: left as it is: it is not UTF-8" in result.said
    assert "-é" in result.patch("owned/latin.txt")


def test_where_both_changed_a_line_the_team_s_stays(result: Result) -> None:
    assert result.text("clash.txt") == "one\ndeux\nthree\n"
    assert result.outcomes("clash.txt") == ["conflict"]


def test_a_binary_that_both_changed(result: Result) -> None:
    assert result.after["owned/logo.png"][1] == PNG + b"2"
    assert result.patch("owned/logo.png") == "Binary files a/owned/logo.png and b/owned/logo.png differ\n"
    assert result.after["seeds/photo.png"][1] == PNG + b"ours"
    assert result.outcomes("seeds/photo.png") == []


def test_only_the_executable_bit_changed(result: Result) -> None:
    assert "owned/run.sh: put back as the template has it; made executable" in result.said
    assert "owned/core.py: put back as the template has it; made not executable" in result.said
    assert result.outcomes("owned/tool.sh") == []
    assert result.after["owned/tool.sh"][0] == 0o755
    assert result.after["seeds/run.sh"][0] == result.after["ci.yml"][0] == 0o755


def test_a_file_that_gitignore_hides_is_written_and_committed(result: Result) -> None:
    assert result.text("owned/hidden.log") == "hidden\n"
    assert git(result.service, "ls-files", "owned/hidden.log").strip() == "owned/hidden.log"


def test_links_of_the_team_s_stay(result: Result) -> None:
    assert (result.service / "link").readlink() == Path("/etc")
    assert (result.service / "dangling").readlink() == Path("nowhere")


def test_two_renames_are_followed_at_once(history: History, service: Path) -> None:
    write(service, "seeds/api.py", "OURS = True\n")
    history.migrations = {"paths": {"seeds/api.py": "seeds/routes.py"}}
    history.release("0.2.0", {"seeds/api.py": None, "seeds/routes.py": "NEW = 2\n"})
    history.migrations["paths"]["seeds/routes.py"] = "seeds/views.py"
    history.release("0.3.0", {"seeds/routes.py": None, "seeds/views.py": "NEW = 3\n"})
    rolled_up(history, service, "0.3.0")
    assert (service / "seeds/views.py").read_text() == "OURS = True\n"
    assert sorted(path for path in tree(service) if path.startswith("seeds/")) == ["seeds/views.py"]


def test_a_file_that_went_may_come_again(history: History, service: Path) -> None:
    before = tree(service)
    core = history.files["owned/core.py"]
    history.release("0.2.0", {"owned/core.py": None})
    history.release("0.3.0", {"owned/core.py": core})
    rolled_up(history, service, "0.2.0")
    assert not (service / "owned/core.py").exists()
    rolled_up(history, service, "0.3.0")
    assert team_s(service) == {path: file for path, file in before.items() if not path.startswith(".twelvefold/")}


@pytest.mark.parametrize("target", ["/etc/hostname", "nowhere", "../../outside"])
def test_a_link_in_an_owned_file_s_place_is_refused(
    target: str, history: History, service: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside").write_text("outside\n")
    (service / "owned/core.py").unlink()
    (service / "owned/core.py").symlink_to(target)
    history.release("0.2.0", {"owned/core.py": "NEW = 2\n"})
    said = rolled_up(history, service, "0.2.0", exit_code=2)
    assert "owned/core.py is a symbolic link" in said
    assert (service / "owned/core.py").readlink() == Path(target)
    assert (tmp_path / "outside").read_text() == "outside\n"


@pytest.mark.parametrize("folder", ["owned", ".twelvefold", ".twelvefold/applied"])
def test_a_folder_that_is_a_link_out_is_refused(folder: str, history: History, service: Path, tmp_path: Path) -> None:
    (service / folder).rename(tmp_path / "outside")
    (service / folder).symlink_to(tmp_path / "outside")
    history.release("0.2.0", {"owned/core.py": "NEW = 2\n", "notes.txt": "two\n"})
    before = tree(tmp_path / "outside")
    assert f"{folder} is a symbolic link" in rolled_up(history, service, "0.2.0", exit_code=2)
    assert tree(tmp_path / "outside") == before


def test_a_link_in_the_template_becomes_a_file(history: History, service: Path) -> None:
    history.links = {"owned/link.py": "core.py"}
    history.release("0.2.0")
    rolled_up(history, service, "0.2.0")
    assert not (service / "owned/link.py").is_symlink()
    assert (service / "owned/link.py").read_text() == history.files["owned/core.py"]
    commit(service, "Updated")
    done = twelvefold("status", service, "--template", history.repository)
    assert "In step" in done.output, done.output


def test_a_dangling_link_in_the_template_is_refused(history: History, service: Path) -> None:
    before = tree(service)
    history.links = {"owned/link.py": "nowhere.py"}
    history.release("0.2.0")
    said = rolled_up(history, service, "0.2.0", exit_code=2)
    assert "The template cannot be rendered" in said
    assert "owned/link.py" in said
    assert tree(service) == before


def test_a_folder_of_the_team_s_in_a_file_s_place_is_refused(history: History, service: Path) -> None:
    write(service, "owned/new.py/ours.txt", "ours\n")
    history.release("0.2.0", {"owned/new.py": "NEW = 2\n"})
    before = tree(service)
    said = rolled_up(history, service, "0.2.0", exit_code=2)
    assert "owned/new.py is a folder, and a file in the template" in said
    assert "git mv owned/new.py/ours.txt" in said
    assert tree(service) == before


def test_a_file_of_the_team_s_in_a_folder_s_place_is_refused(history: History, service: Path) -> None:
    write(service, "tools", "ours\n")
    history.release("0.2.0", {"tools/new.py": "NEW = 2\n"})
    before = tree(service)
    said = rolled_up(history, service, "0.2.0", exit_code=2)
    assert "tools is a file, and a folder in the template. Move it away: git mv tools ..." in said
    assert tree(service) == before


def test_a_folder_does_not_become_a_file_while_something_of_the_team_s_is_in_it(
    history: History, service: Path
) -> None:
    history.release("0.2.0", {"owned/kit/a.py": "A = 1\n"})
    rolled_up(history, service, "0.2.0")
    write(service, "owned/kit/ours.py", "OURS = 1\n")
    history.release("0.3.0", {"owned/kit/a.py": None, "owned/kit": "a file\n"})
    commit(service, "Ours")
    before = tree(service)
    said = rolled_up(history, service, "0.3.0", exit_code=2)
    assert "git mv owned/kit/ours.py" in said
    assert tree(service) == before


def test_a_file_that_only_gitignore_knows_is_not_lost(history: History, service: Path) -> None:
    """Nobody could get it back from git."""
    edit(service, ".gitignore", ".env\n", ".env\n*.log\n")
    write(service, "owned/own.log", "the only copy\n")
    history.release("0.2.0", {"owned/own.log": "the template's\n"})
    before = tree(service)
    said = rolled_up(history, service, "0.2.0", exit_code=2)
    assert "owned/own.log is not in git" in said
    assert tree(service) == before


def test_a_read_only_file_is_replaced(history: History, service: Path) -> None:
    (service / "owned/core.py").chmod(0o444)
    history.release("0.2.0", {"owned/core.py": "NEW = 2\n"})
    rolled_up(history, service, "0.2.0")
    assert (service / "owned/core.py").read_text() == "NEW = 2\n"


def test_a_submodule_of_the_team_s_stays(history: History, service: Path, tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    write(tmp_path / "library", "lib.py", "LIB = 1\n")
    commit(tmp_path / "library", "A library")
    add = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(tmp_path / "library"), "vendor/lib")
    git(service, *add)
    commit(service, "Vendor")
    history.release("0.2.0", {"owned/core.py": "NEW = 2\n"})
    rolled_up(history, service, "0.2.0", "--commit")
    assert git(service, "status", "--porcelain") == ""
    assert (service / "vendor/lib/lib.py").read_text() == "LIB = 1\n"


def test_a_file_of_the_template_s_in_a_submodule_is_refused(history: History, service: Path, tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    write(tmp_path / "library", "lib.py", "LIB = 1\n")
    commit(tmp_path / "library", "A library")
    add = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(tmp_path / "library"), "owned/lib")
    git(service, *add)
    commit(service, "Vendor")
    before = tree(service)
    for number, path in enumerate(("owned/lib/new.py", "owned/lib/lib.py")):
        history.release(f"0.2.{number}", {path: "NEW = 2\n"})
        said = rolled_up(history, service, f"0.2.{number}", exit_code=2)
        assert "owned/lib is a repository of its own, such as a submodule" in said
    assert tree(service) == before
