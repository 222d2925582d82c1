"""What a team adds to the files that ship its service, each by its seam, survives an update."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from conftest import Render, commit
from histories import edit, twelvefold, write

OVERRIDE = "services:\n  serve:\n    environment: { APP_GREETING: Hi }\n"
VALUES = "processes:\n  listen: # ours\n    replicas: 1\n"
TARGET = "LICENCES += ;Unlicense\n"


def add_ours(service: Path) -> None:
    write(service, "compose.override.yaml", OVERRIDE)
    write(service, "project.mk", TARGET)
    write(service, "deploy/values.production.yaml", VALUES)
    write(service, "deploy/values.canary.yaml", "settings: { APP_ENVIRONMENT: canary }\n")
    write(service, "CHANGELOG.md", "# Changes\n\n## 7.0.0\n\n- Ours.\n")
    with (service / "Procfile").open("a", encoding="utf-8") as procfile:
        procfile.write("listen: python -m my_service listen # ours\n")
    edit(service, "renovate.json", '["pep621"]', '["pep621", "npm"]')
    edit(service, "renovate.json", '"before 6am on monday"', '"before 4am"')


def test_what_the_team_added_stays(template: Path, fresh: Render) -> None:
    service = fresh()
    add_ours(service)
    commit(service, "Ours")
    options = [
        "--template",
        str(template),
        "--ref",
        "HEAD",
        "--no-lock",
        "--answer=tasks=true",
        "--answer=database=true",
    ]
    done = twelvefold("rollup", service, *options)
    assert done.exit_code == 0, done.output
    assert (service / "compose.override.yaml").read_text(encoding="utf-8") == OVERRIDE
    assert (service / "project.mk").read_text(encoding="utf-8") == TARGET
    assert (service / "deploy/values.production.yaml").read_text(encoding="utf-8") == VALUES
    assert (service / "deploy/values.canary.yaml").exists()
    assert "7.0.0" in (service / "CHANGELOG.md").read_text(encoding="utf-8")
    procfile = (service / "Procfile").read_text(encoding="utf-8")
    assert set(yaml.safe_load(procfile)) == {"web", "worker", "scheduler", "listen"}
    assert "listen: python -m my_service listen # ours\n" in procfile
    renovate = json.loads((service / "renovate.json").read_text(encoding="utf-8"))
    assert renovate["enabledManagers"] == ["pep621", "npm"]
    assert renovate["lockFileMaintenance"]["schedule"] == ["before 4am"]
    assert "worker" in yaml.safe_load((service / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert (service / "deploy/chart/templates/migration.yaml").exists()


def test_an_edit_of_what_is_the_template_s_is_undone_and_shown(template: Path, fresh: Render) -> None:
    service = fresh()
    edit(service, "deploy/chart/templates/processes.yaml", "maxSurge: 1", "maxSurge: 5")
    edit(service, "compose.yaml", "restart: unless-stopped", "restart: always")
    commit(service, "Ours")
    done = twelvefold("rollup", service, "--template", template, "--ref", "HEAD", "--no-lock")
    assert done.exit_code == 2
    for path in ("deploy/chart/templates/processes.yaml", "compose.yaml"):
        assert path in done.output
    assert "maxSurge: 1" in (service / "deploy/chart/templates/processes.yaml").read_text(encoding="utf-8")
