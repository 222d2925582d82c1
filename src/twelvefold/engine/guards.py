"""What plain `scaraplate rollup` refuses before it writes: it has no plan that could be looked at, and no journal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twelvefold.engine.answers import refuse_renamed_package
from twelvefold.engine.application import found_in
from twelvefold.engine.bases import damage
from twelvefold.engine.emptied import refuse_leaving_a_chassis
from twelvefold.engine.hidden import refuse_hidden
from twelvefold.engine.requirements import refuse_elsewhere
from twelvefold.errors import RefusedError
from twelvefold.git import blob
from twelvefold.service import (
    ANSWERS,
    APPLICATION,
    APPLIED,
    MANIFEST,
    OWN,
    File,
    ManifestEntry,
    Repository,
    Service,
    manifest_of,
    read_file,
)
from twelvefold.workspace import refuse_shared_vendor


def refuse_what_would_be_lost(root: Path, rendered: Path) -> None:
    """Raise RefusedError if the service in `root` would lose something to what was rendered into the folder `rendered`.

    scaraplate writes every owned and merged file, changed or not, and seeds that are not there.
    """
    refuse_leaving_a_chassis(root, rendered)
    service = Service(root, manifest=_manifest(read_file(root, str(MANIFEST))))
    refuse_renamed_package({}, _content(read_file(rendered, str(ANSWERS))), service.manifest)
    if not service.manifest:
        refuse_what_adopt_is_for(root)
    files = [path.relative_to(rendered).as_posix() for path in sorted(rendered.rglob("*")) if path.is_file()]
    refuse_shared_vendor(root, files)
    seeds = {path for path, entry in service.manifest.items() if entry.owner == "seeded"}
    written = [path for path in files if path not in seeds or service.file(path) is None]
    if repository := Repository.found(root):
        refuse_hidden(repository, written)
    for path in service.damaged(service.applied()):
        if not _was_interrupted(service, path, rendered):
            raise RefusedError(f"{path} cannot be merged: {damage(root, path, service.manifest[path].sha256)}")


def refuse_what_adopt_is_for(root: Path) -> None:
    """Raise RefusedError if a folder that no template made has what only `twelvefold adopt` can bring in."""
    refuse_elsewhere(root)
    if shown := found_in(root):
        raise RefusedError(
            f"{root.name} has an application of its own ({shown[0]}), and scaraplate would put the template's beside "
            "it. Run: twelvefold adopt"
        )


def refuse_own_application(stamp: Mapping[str, Any]) -> None:
    """Raise RefusedError if the service is spared the template's application, which scaraplate does not know."""
    if stamp.get(APPLICATION) == OWN:
        raise RefusedError(
            "This service has an application of its own, and scaraplate would put the template's beside it. Run: "
            "twelvefold rollup"
        )


def _was_interrupted(service: Service, path: str, rendered: Path) -> bool:
    """Whether the copy and the manifest differ because an update to the same render was killed between the two.

    Each is then what git has, where the two agree, or what was rendered.
    """
    committed = _committed(service.root, path)
    copy, new = service.file(str(APPLIED / path)), read_file(rendered, path)
    if committed is None or copy is None or new is None:
        return False
    return {copy.sha256, service.manifest[path].sha256} <= {committed, new.sha256}


def _committed(root: Path, path: str) -> str | None:
    """The hash of the last-applied copy in git, if the manifest there has the same."""
    manifest, copy = (blob(root, f"HEAD:./{name}") for name in (MANIFEST, APPLIED / path))
    if manifest is None or copy is None:
        return None
    entry = _manifest(File(manifest)).get(path)
    sha256 = File(copy).sha256
    return sha256 if entry and entry.sha256 == sha256 else None


def _manifest(file: File | None) -> Mapping[str, ManifestEntry]:
    return manifest_of(_content(file))


def _content(file: File | None) -> Mapping[str, Any]:
    """What a file of the memory holds; nothing if it is not there. `Answers` has read the service's own before."""
    content = json.loads(file.content) if file else {}
    return content if isinstance(content, dict) else {}
