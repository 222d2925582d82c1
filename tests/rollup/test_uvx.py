"""How a user gets scaraplate together with our package: from the template's git address, at a version."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from commands import succeed
from conftest import Render, commit, git


@pytest.mark.slow
def test_uvx_runs_scaraplate_from_a_git_address(template: Path, fresh: Render, tmp_path: Path) -> None:
    git(template, "tag", "--force", "0.0.1-test")
    service = fresh()
    commit(service, "Rendered")
    (service / "vendor/chassis/src/chassis/process/health.py").unlink()
    source = f"git+file://{template}@0.0.1-test"
    environment = {**os.environ, "UV_TOOL_DIR": str(tmp_path / "tools")}
    scaraplate = ("uvx", "--from", source, "scaraplate")
    succeed(*scaraplate, "rollup", template, service, "--no-input", cwd=tmp_path, env=environment)
    assert git(service, "status", "--porcelain") == ""
