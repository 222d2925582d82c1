"""Where repositories declare their dependencies, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import commit, git
from histories import write
from twelvefold.engine.requirements import elsewhere, refuse_elsewhere
from twelvefold.errors import RefusedError

PROJECT = '[project]\nname = "pay"\nversion = "1"\ndependencies = ["flask>=3", "Foo_Bar[x]", "gunicorn"]\n'
GROUPS = '[dependency-groups]\ndev = ["pytest", {include-group = "lint"}]\nlint = ["ruff"]\n'
SETUP = "from setuptools import setup\nsetup({})\n"
ELSEWHERE: dict[str, tuple[dict[str, str], str]] = {
    "poetry": (
        {"pyproject.toml": '[tool.poetry]\nname = "pay"\n[tool.poetry.dependencies]\npython = "^3.11"\nflask = "*"\n'},
        "pyproject.toml: [tool.poetry.dependencies]",
    ),
    "poetry without requirements": (
        {"pyproject.toml": '[tool.poetry]\nname = "pay"\n[tool.poetry.dependencies]\npython = "^3.11"\n'},
        "pyproject.toml: [tool.poetry], and no [project]",
    ),
    "poetry's groups": (
        {"pyproject.toml": f'{PROJECT}[tool.poetry.group.dev.dependencies]\npytest = "*"\n'},
        "pyproject.toml: [tool.poetry.group.dev.dependencies]",
    ),
    "poetry's old group": (
        {"pyproject.toml": f'{PROJECT}[tool.poetry.dev-dependencies]\npytest = "*"\n'},
        "pyproject.toml: [tool.poetry.dev-dependencies]",
    ),
    "pdm's first form": (
        {"pyproject.toml": '[tool.pdm]\nname = "pay"\n[tool.pdm.dependencies]\nflask = "*"\n'},
        "pyproject.toml: [tool.pdm.dependencies]",
    ),
    "pdm's old groups": (
        {"pyproject.toml": f'{PROJECT}[tool.pdm.dev-dependencies]\ntest = ["pytest"]\n'},
        "pyproject.toml: [tool.pdm.dev-dependencies]",
    ),
    "flit's old form": (
        {"pyproject.toml": '[tool.flit.metadata]\nmodule = "pay"\nrequires = ["flask"]\n'},
        "pyproject.toml: [tool.flit.metadata.requires]",
    ),
    "rye": (
        {"pyproject.toml": f'{PROJECT}[tool.rye]\ndev-dependencies = ["pytest"]\n'},
        "pyproject.toml: [tool.rye.dev-dependencies]",
    ),
    "pixi": (
        {"pyproject.toml": '[tool.pixi.dependencies]\npython = "3.11.*"\nflask = "*"\n'},
        "[tool.pixi.dependencies]",
    ),
    "a pixi.toml": ({"pixi.toml": '[dependencies]\nflask = "*"\n'}, "pixi.toml"),
    "dynamic": (
        {"pyproject.toml": '[project]\nname = "pay"\ndynamic = ["version", "dependencies"]\n'},
        'pyproject.toml: [project] dynamic = ["version", "dependencies"]',
    ),
    "a dynamic version": (
        {"pyproject.toml": PROJECT.replace('version = "1"', 'dynamic = ["version"]')},
        'pyproject.toml: [project] dynamic = ["version"]',
    ),
    "a workspace": (
        {"pyproject.toml": '[tool.uv.workspace]\nmembers = ["packages/*"]\n'},
        "pyproject.toml: [tool.uv.workspace], and no [project]: adopt its members, each by its folder",
    ),
    "setup.py": ({"setup.py": SETUP.format('name="pay", install_requires=["flask"]')}, "setup.py: install_requires"),
    "setup.py beside [project]": (
        {"pyproject.toml": PROJECT, "setup.py": SETUP.format('extras_require={"x": ["flask"]}')},
        "setup.py: extras_require",
    ),
    "setup.py, computed": (
        {"setup.py": SETUP.format("**read()")},
        "setup.py: setup(**...), whose arguments only running it would tell",
    ),
    "setup.py without requirements": ({"setup.py": SETUP.format('name="pay"')}, "setup.py, and no [project] in"),
    "setup.py of Python 2": ({"setup.py": 'print "pay"\n'}, "setup.py, which cannot be read"),
    "setup.cfg": ({"setup.cfg": "[options]\ninstall_requires =\n  flask\n"}, "setup.cfg: [options] install_requires"),
    "setup.cfg's extras": (
        {"pyproject.toml": PROJECT, "setup.cfg": "[options.extras_require]\nx = flask\n"},
        "setup.cfg: [options.extras_require]",
    ),
    "setup.cfg's metadata": ({"setup.cfg": "[metadata]\nname = pay\n"}, "setup.cfg: [metadata], and no [project]"),
    "a setup.cfg that is none": ({"setup.cfg": "name\n[options\n"}, "setup.cfg, which cannot be read"),
    "requirements.txt": (
        {"requirements.txt": "# ours\nflask==3 # web\nredis\nyarl\nattrs\n"},
        "flask, redis, yarl and 1 more",
    ),
    "requirements beside [project]": (
        {"pyproject.toml": PROJECT, "requirements-dev.txt": "-r requirements.txt\npytest\nflask\n"},
        "requirements-dev.txt: pytest",
    ),
    "requirements of pip-compile": (
        {"requirements.txt": "#\n# pip-compile requirements.in\n#\nflask==3 \\\n    --hash=sha256:ab\n"},
        "requirements.txt: flask",
    ),
    "a folder of requirements": ({"requirements/base.txt": "flask\n"}, "requirements/base.txt: flask"),
    "requirements in a folder": ({"backend/requirements.txt": "flask\n"}, "backend/requirements.txt: flask"),
    "a requirement by address": (
        {"pyproject.toml": PROJECT, "requirements.txt": "git+https://git.example.com/flask.git\n"},
        "requirements.txt: git+https://git.example.com/flask.git",
    ),
    "a wheel beside": ({"pyproject.toml": PROJECT, "requirements.txt": "./vendor/ours.whl\n"}, "./vendor/ours.whl"),
    "Pipfile": ({"Pipfile": '[packages]\nflask = "*"\n'}, "Pipfile"),
    "Pipfile.lock": ({"Pipfile.lock": "{}"}, "Pipfile.lock"),
    "conda": ({"environment.yml": "name: pay\ndependencies:\n  - flask\n"}, "environment.yml: flask"),
    "an included file": (
        {"pyproject.toml": PROJECT, "requirements.txt": "-r deps/common.in\n", "deps/common.in": "flask\nyarl\n"},
        "deps/common.in: yarl",
    ),
    "an included file of any name": (
        {"pyproject.toml": PROJECT, "a/requirements.txt": "--requirement=../base\n", "base": "yarl\n"},
        "base: yarl",
    ),
    "requirements far below": ({"a/b/c/d/requirements.txt": "flask\n"}, "a/b/c/d/requirements.txt: flask"),
    "options with hyphens": (
        {"pyproject.toml": PROJECT, "setup.cfg": "[options]\ninstall-requires = flask\n"},
        "setup.cfg: [options] install_requires",
    ),
    "setup by another name": (
        {"setup.py": "from distutils.core import setup as s\ns(install_requires=['flask'])\n"},
        "setup.py: install_requires",
    ),
    "Windows' line ends": ({"requirements.txt": "flask \\\r\n  ==3\r\nyarl\r\n"}, "requirements.txt: flask, yarl"),
    "conda's pip": (
        {"environment.yml": "dependencies:\n  - python=3.11\n  - pip\n  - pip:\n      - Flask>=3\n"},
        "environment.yml: flask",
    ),
}
IN_PROJECT: dict[str, dict[str, str]] = {
    "nothing": {},
    "no pyproject.toml": {"README.md": "# Pay\n"},
    "[project]": {"pyproject.toml": PROJECT + GROUPS},
    "an empty dynamic": {"pyproject.toml": PROJECT + "dynamic = []\n"},
    "a build backend's settings": {"pyproject.toml": f'{PROJECT}[tool.poetry]\npackages = [{{include = "pay"}}]\n'},
    "poetry's bound of Python": {"pyproject.toml": f'{PROJECT}[tool.poetry.dependencies]\npython = "^3.11"\n'},
    "tools' environments": {
        "pyproject.toml": f'{PROJECT}[tool.hatch.envs.test]\ndependencies = ["pytest"]\n',
        "tox.ini": "[testenv]\ndeps = pytest\n",
        "noxfile.py": "",
    },
    "a workspace with a project": {"pyproject.toml": f'{PROJECT}[tool.uv.workspace]\nmembers = ["x"]\n'},
    "a setup.py for old tools": {"pyproject.toml": PROJECT, "setup.py": SETUP.format("")},
    "a setup.cfg of linters": {"setup.cfg": "[flake8]\nmax-line-length = 100\n[metadata-of-ours]\na = 50%\n"},
    "requirements that say the same": {
        "pyproject.toml": PROJECT + GROUPS,
        "requirements.txt": "-i https://pypi.example.com\n-e .\n.[x]\nFlask==3.0 ; python_version > '3'\nfoo.bar\n",
        "requirements-dev.txt": "-r requirements.txt\n-c constraints.txt\npytest\n",
    },
    "requirements made of pyproject.toml": {
        "pyproject.toml": PROJECT,
        "requirements.txt": "# This file was autogenerated by uv:\n#    uv export\nwerkzeug==3\n",
        "requirements-lock.txt": "#\n#    pip-compile --output-file=x pyproject.toml\n#\nwerkzeug==3\n",
    },
    "requirements of the docs": {"pyproject.toml": PROJECT, "docs/requirements.txt": "sphinx\n"},
    "an empty requirements.txt": {"requirements.txt": "\n# none\n"},
    "an image": {"Dockerfile": "RUN pip install gunicorn\n"},
    "requirements of a bare pip-compile": {
        "pyproject.toml": PROJECT,
        "requirements.txt": "#\n#    pip-compile\n#\nanyio==4\n    # via pay (pyproject.toml)\n",
    },
    "the project itself": {"pyproject.toml": PROJECT, "requirements-dev.txt": "Pay[dev]\n"},
    "prose": {"pyproject.toml": PROJECT, "requirements/README.txt": "How to install this, in short:\nask somebody.\n"},
    "requirements of tools": {"pyproject.toml": PROJECT, "tools/requirements.txt": "yarl\n"},
    "conda without libraries": {"environment.yml": "dependencies:\n  - python=3.11\n  - pip\n"},
    "conda with those of [project]": {
        "pyproject.toml": PROJECT,
        "environment.yml": "dependencies: [flask=3, foo_bar]\n",
    },
    "an include that leads nowhere": {
        "pyproject.toml": PROJECT,
        "requirements.txt": "-r ../../../etc/passwd\n-r no.txt\n",
    },
    "a pyproject.toml that is none": {"pyproject.toml": "[project\n"},
    "no tables where tables are": {"pyproject.toml": 'tool = 1\nproject = ["x"]\n'},
}


def repository(folder: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        write(folder, path, text)
    return folder


@pytest.mark.parametrize(("files", "said"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_what_stands_elsewhere_is_found(files: dict[str, str], said: str, tmp_path: Path) -> None:
    found = elsewhere(repository(tmp_path, files))
    assert len(found) == 1
    assert said in found[0]
    with pytest.raises(RefusedError, match="declares what an adoption would lose") as refusal:
        refuse_elsewhere(tmp_path)
    assert refusal.value.exit_code == 2
    assert f"\n  {found[0]}\n" in refusal.value.message


@pytest.mark.parametrize("files", IN_PROJECT.values(), ids=IN_PROJECT)
def test_what_stands_in_project_is_no_obstacle(files: dict[str, str], tmp_path: Path) -> None:
    assert elsewhere(repository(tmp_path, files)) == []


def test_all_places_are_said_at_once(tmp_path: Path) -> None:
    poetry = "poetry's groups"
    names = ("setup.py beside [project]", "setup.cfg's extras", "requirements beside [project]", "Pipfile", poetry)
    files = {path: text for name in names for path, text in ELSEWHERE[name][0].items()}
    assert len(elsewhere(repository(tmp_path, files))) == len(names)


def test_what_git_ignores_is_not_looked_at(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    repository(
        tmp_path, {".gitignore": "build/\nvenv/\n", "build/requirements.txt": "x\n", "venv/requirements.txt": "x\n"}
    )
    assert elsewhere(tmp_path) == []


def test_what_git_has_and_the_disk_has_not_is_looked_at(tmp_path: Path) -> None:
    commit(repository(tmp_path, {"deep/requirements.txt": "flask\n", "app/app.py": ""}), "Begin")
    git(tmp_path, "sparse-checkout", "set", "app")
    assert not (tmp_path / "deep").exists()
    assert elsewhere(tmp_path) == ["deep/requirements.txt: flask"]


def test_other_bytes_than_utf_8_are_read_as_far_as_can_be(tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_bytes(b"[flake8]\n# caf\xe9\nmax-line-length = 100\n")
    assert elsewhere(tmp_path) == []
    (tmp_path / "requirements.txt").write_bytes("flask\n".encode("utf-16"))
    assert elsewhere(tmp_path) == ["requirements.txt: flask"]


NAMES = st.from_regex(r"[a-z]([a-z0-9]|[-_.](?=[a-z0-9])){0,8}", fullmatch=True)


@given(
    declared=st.sets(NAMES, max_size=4),
    wanted=st.sets(NAMES, max_size=4),
    style=st.sampled_from(["{}", "{}==1", "{}[x]>=2 # y"]),
)
def test_of_requirements_those_are_found_that_project_lacks(
    declared: set[str], wanted: set[str], style: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Names are compared as the index compares them."""
    folder = tmp_path_factory.mktemp("requirements")
    project = f'[project]\nname = "pay"\nversion = "1"\ndependencies = {sorted(declared)!r}\n'
    lines = "".join(f"{style.format(name.upper())}\n" for name in sorted(wanted))
    found = elsewhere(repository(folder, {"pyproject.toml": project, "requirements.txt": lines}))
    lacking = {_normal(name) for name in wanted} - {_normal(name) for name in declared}
    assert bool(found) == bool(lacking)
    assert all(name in lacking for one in found for name in one.partition(": ")[2].partition(" and ")[0].split(", "))


def _normal(name: str) -> str:
    return name.replace("_", "-").replace(".", "-").lower()
