"""Strategies that are not ours, in a template that services follow."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from conftest import commit, git
from histories import RULES, History, plain, render, rolled_up, write
from trees import tree
from twelvefold.engine import template as templates
from twelvefold.engine.rendering.checkouts import Checkout
from twelvefold.engine.rendering.classes import template_meta
from twelvefold.git_remote import TemplateRemote

OURS = """
import io
import marshmallow
from scaraplate.strategies import Strategy
from twelvefold.strategies.strategy import Merged


class Signed(Strategy):
    class Schema(marshmallow.Schema):
        mark = marshmallow.fields.String()

    def apply(self):
        mine = self.target_contents.read() if self.target_contents else b"new\\n"
        return io.BytesIO(mine + self.template_meta.commit_hash[:4].encode() + self.config["mark"].encode())


class Ours(Merged):
    pass
"""
NODES = {
    ".gitignore": "scaraplate.strategies.SortedUniqueLines",
    "signed.txt": {"strategy": "strategies_of_fork.Signed", "config": {"mark": "!"}},
    "notes.txt": {"strategy": "strategies_of_fork.Ours", "config": {"path": "notes.txt", "format": "text"}},
}


@pytest.fixture
def history(tmp_path: Path) -> History:
    repository = tmp_path / "template"
    repository.mkdir()
    history = History(repository)
    loaded = yaml.safe_load(RULES)
    names = ("strategies_of_fork.Signed", "strategies_of_fork.Ours", "scaraplate.strategies.SortedUniqueLines")
    history.rules["ownership"] = {**loaded["ownership"], **dict.fromkeys(names, "merged")}
    merged = {path: config for path, config in history.merged.items() if path not in NODES}
    history.merged = merged
    mapping = loaded["strategies_mapping"]
    for path, config in merged.items():
        for place, name in ((path, "Merged"), (f".twelvefold/applied/{path}", "Applied")):
            mapping[place] = {"strategy": f"twelvefold.strategies.strategy.{name}", "config": {"path": path, **config}}
    copy = {"strategy": "twelvefold.strategies.strategy.Applied", "config": NODES["notes.txt"]["config"]}  # type: ignore[index]
    history.rules["strategies_mapping"] = {**mapping, **NODES, ".twelvefold/applied/notes.txt": copy}
    for path in (".gitignore", "signed.txt"):
        history.rules["strategies_mapping"][f".twelvefold/applied/{path}"] = "scaraplate.strategies.Overwrite"
    (repository / "strategies_of_fork.py").write_text(OURS)
    history.files["signed.txt"] = "signed\n"
    history.release("0.1.0")
    return history


def test_both_commands_apply_a_fork_s_own_strategies(history: History, tmp_path: Path) -> None:
    service = render(history, "0.1.0", tmp_path)
    write(service, ".gitignore", "zz\n.env\n")
    write(service, "notes.txt", "zero\n" + history.files["notes.txt"])
    write(service, "pyproject.toml", history.files["pyproject.toml"].partition("dependencies")[0] + "# ours\n")
    commit(service, "The team's")
    other = Path(shutil.copytree(service, tmp_path / "other" / service.name))
    history.release("0.2.0", {"notes.txt": "one\ntwo\nthree\nfour\nfive\nsix\n", ".gitignore": "a\n.env\n"})
    done = plain(history, other)
    assert done.exit_code == 0, done.output
    rolled_up(history, service, "0.2.0", exit_code=2)
    assert tree(service) == tree(other)
    assert (service / ".gitignore").read_text() == ".env\na\nzz\n"
    assert (service / "notes.txt").read_text() == "zero\none\ntwo\nthree\nfour\nfive\nsix\n"
    head = git(history.repository, "rev-parse", "HEAD")
    assert (service / "signed.txt").read_text() == f"signed\n{head[:4]}!"


def test_the_template_s_metadata_is_what_scaraplate_finds_itself(history: History, tmp_path: Path) -> None:
    from scaraplate.template import get_template_meta_from_git

    template = templates.find(str(history.repository), "0.1.0")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(history.repository), str(clone))
    git(clone, "checkout", "--quiet", "--detach", "0.1.0")
    theirs = get_template_meta_from_git(clone, git_remote_type=TemplateRemote)
    assert template_meta(Checkout(template, clone), TemplateRemote) == theirs
