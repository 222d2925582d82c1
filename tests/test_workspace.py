"""`twelvefold.workspace`: who is a member, and which link stands for the vendor/ that members share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from commands import succeed
from twelvefold.errors import RefusedError
from twelvefold.workspace import Places, Workspace, home_of, refuse_shared_vendor


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository whose root has a vendor/, with a service in services/a that has it too."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "vendor/chassis").mkdir(parents=True)
    (tmp_path / "services/a").mkdir(parents=True)
    (tmp_path / "services/a/vendor").symlink_to("../../vendor")
    declare(tmp_path, 'members = ["services/*"]')
    return tmp_path


def declare(root: Path, table: str) -> None:
    (root / "pyproject.toml").write_text(f"[tool.uv.workspace]\n{table}\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("members", "exclude", "is_in"),
    [
        ("services/*", "", True),
        ("services/a", "", True),
        ("./services/*/", "", True),
        ("services/[ab]", "", True),
        ("**", "", True),
        ("**/a", "", True),
        ("services/**", "", True),
        ("*", "", False),
        ("services", "", False),
        ("services/*/*", "", False),
        ("services/b", "", False),
        ("../services/*", "", False),
        ("services/*", "services/a", False),
        ("services/*", "services/b", True),
        ("services/*", "*", False),
        ("services/*", "**", False),
        ("services/*", "**/a", False),
        ("services/*", "serv*", False),
    ],
)
def test_a_member_is_what_a_pattern_fits_and_none_excludes(members: str, exclude: str, is_in: bool, root: Path) -> None:
    declare(root, f'members = ["{members}"]\nexclude = ["{exclude}"]')
    assert (Workspace.around(root / "services/a") is not None) is is_in


@pytest.mark.parametrize("table", ["", "members = 3", 'exclude = ["x"]', "members = [", 'members = ["*"]\nexclude = 1'])
def test_a_table_that_says_nothing_is_none(table: str, root: Path) -> None:
    declare(root, table)
    assert Workspace.at(root) is None


def test_the_nearest_project_above_decides_as_uv_has_it(root: Path) -> None:
    assert Workspace.around(root / "services/a") == Workspace(root, ("services/*",))
    (root / "services/pyproject.toml").write_text("[tool.uv.workspace]\nmembers = []\n", encoding="utf-8")
    assert Workspace.around(root / "services/a") is None
    (root / "services/pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["*"]\n', encoding="utf-8")
    assert Workspace.around(root / "services/a") == Workspace(root / "services", ("*",))


def test_it_lies_in_the_same_work_tree(root: Path) -> None:
    (root / "services/.git").write_text("gitdir: elsewhere\n", encoding="utf-8")
    assert Workspace.around(root / "services/a") is None


def test_what_is_shared_lies_at_the_root(root: Path) -> None:
    places = Places.of(root / "services/a")
    assert (places.workspace, places.is_shared, places.up) == (root, True, "../../")
    assert places.at("vendor/chassis/x.py") == root / "vendor/chassis/x.py"
    assert places.at("uv.lock") == root / "uv.lock"
    assert places.at("vendors/x.py") == root / "services/a/vendors/x.py"
    assert places.spelled("vendor/chassis/x.py") == "../../vendor/chassis/x.py"
    assert places.spelled("Makefile") == "Makefile"
    assert places.elsewhere() == ["../../vendor", "../../uv.lock"]


def test_a_member_with_a_vendor_of_its_own_shares_the_lock_alone(root: Path) -> None:
    (root / "services/a/vendor").unlink()
    (root / "services/a/vendor").mkdir()
    places = Places.of(root / "services/a")
    assert places.at("vendor/x") == root / "services/a/vendor/x"
    assert places.elsewhere() == ["../../uv.lock"]


def test_who_is_in_no_workspace_has_all_at_home(root: Path) -> None:
    places = Places.of(root)
    assert [places.at(path) for path in ("vendor/x", "uv.lock")] == [root / "vendor/x", root / "uv.lock"]
    assert (places.spelled("vendor/x"), places.up, places.elsewhere()) == ("vendor/x", "", [])


@pytest.mark.parametrize(
    "link", ["../../elsewhere", "../b/vendor", "../../vendor/chassis", "{root}/vendor", "../link/../../vendor", "/etc"]
)
def test_a_link_to_elsewhere_is_refused_with_the_right_one(link: str, root: Path) -> None:
    (root / "elsewhere").mkdir()
    (root / "services/b").mkdir()
    (root / "services/b/vendor").symlink_to("../../vendor")
    (root / "services/link").symlink_to("../elsewhere")
    service = root / "services/a"
    (service / "vendor").unlink()
    (service / "vendor").symlink_to(link.format(root=root))
    places = Places.of(service)
    with pytest.raises(
        RefusedError, match=r"^vendor is a symbolic link, which an update would follow, and it"
    ) as error:
        places.at("vendor/x")
    assert places.at("Makefile") == service / "Makefile"
    assert os.system(error.value.message.partition("Type: ")[2]) == 0  # noqa: S605 - what a person types
    assert Places.of(service).is_shared


def test_one_of_no_member_is_refused(root: Path) -> None:
    declare(root, 'members = ["services/b"]')
    with pytest.raises(
        RefusedError, match=r"the next pyproject\.toml above, in this repository, does not have this one"
    ):
        Places.of(root / "services/a").base("vendor/x")


def test_one_to_a_vendor_that_is_a_link_or_not_there_is_refused(root: Path) -> None:
    (root / "vendor").rename(root / "real")
    for target in ("nowhere", "real"):
        (root / "vendor").symlink_to(target)
        with pytest.raises(RefusedError, match="/vendor is no folder"):
            Places.of(root / "services/a").base("vendor/x")
        (root / "vendor").unlink()


def test_the_folder_of_a_service_may_be_named_by_a_link(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    link = tmp_path_factory.mktemp("links") / "here"
    link.symlink_to(root / "services/a")
    places = Places.of(link)
    assert (places.workspace, places.is_shared, places.up) == (root, True, "../../")


@pytest.mark.parametrize(
    ("path", "home"),
    [("vendor/chassis/src/x.py", "vendor/chassis"), ("vendor/check.py", "vendor/check.py"), ("Makefile", "Makefile")],
)
def test_a_distribution_is_a_folder_of_vendor(path: str, home: str) -> None:
    assert home_of(path) == home


def test_scaraplate_is_refused_where_it_would_write_there(root: Path) -> None:
    service = root / "services/a"
    refuse_shared_vendor(service, ["Makefile"])
    with pytest.raises(RefusedError, match="Run: twelvefold rollup"):
        refuse_shared_vendor(service, ["Makefile", "vendor/chassis/x.py"])
    (service / "vendor").unlink()
    refuse_shared_vendor(service, ["vendor/chassis/x.py"])


@pytest.mark.parametrize(
    ("members", "exclude"),
    [
        ("services/*", ""),
        ("*", ""),
        ("**/a", ""),
        ("./services/[ab]/", ""),
        ("services", ""),
        ("services/*", "*"),
        ("services/*", "services/a"),
        ("services/*", "services/**"),
        ("services/*", "services/b"),
    ],
)
def test_uv_says_the_same(members: str, exclude: str, root: Path) -> None:
    declare(root, f'members = ["{members}"]\nexclude = ["{exclude}"]')
    project = '[project]\nname = "a"\nversion = "1"\nrequires-python = ">=3.11"\n'
    (root / "services/a/pyproject.toml").write_text(project, encoding="utf-8")
    succeed("uv", "lock", "--quiet", "--offline", "--project", root / "services/a")
    assert Places.of(root / "services/a").at("uv.lock").is_file()
