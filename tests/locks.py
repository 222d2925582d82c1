"""An index of small packages on this disk, with wheels and without, and a clone whose code says that it ran."""

from __future__ import annotations

import io
import tarfile
import textwrap
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

from commands import succeed
from twelvefold.decisions import Outcome
from twelvefold.fleet.locking import lock_without_building

BACKEND = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


@dataclass
class Desk:
    """An index of a few packages on the disk, and a clone whose code says that it ran."""

    folder: Path

    def __post_init__(self) -> None:
        """`leaf` and `other` have wheels, `only` and the newest `old` have none, `needs` 2.0 needs that `old`."""
        (self.folder / "index").mkdir(parents=True)
        self.clone.mkdir(parents=True)
        for name, version in (("leaf", "1.0"), ("leaf", "1.1"), ("other", "1.0"), ("old", "1.0"), ("needs", "1.0")):
            self.wheel(name, version)
        self.sdist("old", "2.0")
        self.sdist("only", "1.0")
        self.wheel("needs", "2.0", "old>=2")

    @property
    def clone(self) -> Path:
        return self.folder / "clones/service"

    @property
    def ran(self) -> Path:
        return self.folder / "RAN"

    @property
    def marker(self) -> str:
        return f"import pathlib\npathlib.Path({str(self.ran)!r}).touch()\n"

    def wheel(self, name: str, version: str, *requires: str) -> None:
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        metadata += "".join(f"Requires-Dist: {one}\n" for one in requires)
        info = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(self.folder / f"index/{name}-{version}-py3-none-any.whl", "w") as file:
            file.writestr(f"{info}/METADATA", metadata)
            file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            file.writestr(f"{info}/RECORD", "")

    def sdist(self, name: str, version: str, folder: str = "index") -> None:
        """One that builds itself, and says that it ran."""
        files = {"pyproject.toml": BACKEND, "backend.py": self.backend(name, version)}
        with tarfile.open(self.folder / f"{folder}/{name}-{version}.tar.gz", "w:gz") as file:
            for path, text in files.items():
                entry = tarfile.TarInfo(f"{name}-{version}/{path}")
                entry.size = len(text.encode())
                file.addfile(entry, io.BytesIO(text.encode()))

    def backend(self, name: str, version: str) -> str:
        """A build backend without requirements."""
        return self.marker + textwrap.dedent(
            f"""\
            def prepare_metadata_for_build_wheel(folder, settings=None):
                info = pathlib.Path(folder, "{name}-{version}.dist-info")
                info.mkdir()
                (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
                (info / "WHEEL").write_text("Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
                return info.name
            prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel
            def build_wheel(*args, **more):
                raise SystemExit("no wheel")
            build_sdist = build_editable = build_wheel
            """
        )

    def project(self, *requires: str, more: str = "", project: str = 'version = "1"', where: str = "") -> None:
        """Write the service's pyproject.toml."""
        text = (
            f'[project]\nname = "{where or "service"}"\nrequires-python = ">=3.11"\n{project}\n'
            + (f"dependencies = {list(requires)!r}\n" if "dependencies" not in project else "")
            + ("" if where else f'[tool.uv]\nno-index = true\nfind-links = ["{self.folder / "index"}"]\n')
            + more
        )
        (self.clone / where).mkdir(exist_ok=True)
        (self.clone / where / "pyproject.toml").write_text(text, encoding="utf-8")

    def locked(self) -> bytes:
        """Make the lock as the service's own pipeline does, which builds; return it."""
        succeed("uv", "lock", "--quiet", "--project", self.clone)
        self.ran.unlink(missing_ok=True)
        return self.lock.read_bytes()

    @property
    def lock(self) -> Path:
        return self.clone / "uv.lock"

    def versions(self) -> dict[str, str]:
        packages = tomllib.loads(self.lock.read_text(encoding="utf-8"))["package"]
        return {one["name"]: one.get("version", "") for one in packages}

    def left(self, reason: str) -> None:
        """Lock, and expect that it is left to the service, with its lock as it was and none of its code run."""
        before = self.lock.read_bytes()
        decision = lock_without_building(self.clone, "")
        assert decision is not None
        assert (decision.outcome, decision.needs_person) == (Outcome.LEFT, False)
        assert decision.sentence.startswith("left to its own pipeline, because ")
        assert reason in decision.sentence
        assert self.lock.read_bytes() == before
        self.nothing_ran()

    def nothing_ran(self) -> None:
        assert not self.ran.exists()
        assert [path.name for path in self.clone.parent.iterdir()] == ["service"]
