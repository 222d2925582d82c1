"""The strategies of merged files, as scaraplate wants them.

scaraplate gives a strategy two texts and the rule's configuration: neither the path nor what the template said the
last time. The path is a part of the configuration, and the context class notes the service's folder.

scaraplate walks the render in no certain order, so that either of a merged file and its last-applied copy may come
first. Whichever does, the file is on disk before the copy advances: otherwise, killed between the two, the next
update would take the template's old text for the team's choice, and keep it for ever.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import marshmallow
from scaraplate.strategies import Strategy

from twelvefold import latch
from twelvefold.decisions import MergedFile, record
from twelvefold.service import APPLIED, File, hold_back
from twelvefold.strategies.files import FileRule


class Configured(Strategy):
    """Configured by the file's `path`, its `format` and the rules for its `keys`."""

    class Schema(marshmallow.Schema):
        """Takes anything: `FileRule.load` checks it, with messages that say what to write instead."""

        class Meta:
            """Without fields, which marshmallow copies for each file."""

            unknown = marshmallow.INCLUDE

    def applied(self, copy: bytes | None) -> bytes | None:
        """What was applied the last time, by its copy; None if the manifest knows of nothing."""
        known = latch.current().applied
        return copy if known is None or self.config.get("path") in known else None

    def merged(self, base: bytes | None, service: bytes | None) -> MergedFile:
        """Merge the file, once a run."""
        rule = FileRule.load(self.config)
        rule = rule.without(latch.current().left_out.get(rule.path, ()))
        done = latch.current().merged
        if rule.path not in done:
            rule.refuse_unknown_format()
            done[rule.path] = rule.merge(base, self.template_contents.read(), service)
            for decision in done[rule.path].decisions:
                record(decision)
        return done[rule.path]


class Merged(Configured):
    """A file that the template and the team share, key by key."""

    def apply(self) -> BinaryIO:
        """Return what the file should say, and record what was decided against somebody's edit."""
        base = self.applied(content_of(latch.current().service / APPLIED / str(self.config.get("path"))))
        return io.BytesIO(self.merged(base, read(self.target_contents)).content)


class Applied(Configured):
    """The last-applied copy of a merged file: what the template said when it was merged the last time."""

    def apply(self) -> BinaryIO:
        """Return the new copy, after the file is on disk; the old one, or none, where it could not be merged."""
        copy = read(self.target_contents)
        base = self.applied(copy)
        file = latch.current().service / str(self.config.get("path"))
        service = content_of(file)
        merged = self.merged(base, service)
        if not merged.is_merged:
            # scaraplate has written the manifest by now: it comes to a folder's files before it comes to its folders.
            hold_back(latch.current().service, {str(self.config.get("path")): File(base).sha256 if base else ""})
            return io.BytesIO(copy or b"")
        if merged.content != service:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(merged.content)
        self.template_contents.seek(0)
        return self.template_contents


def read(contents: BinaryIO | None) -> bytes | None:
    """What scaraplate handed over."""
    return None if contents is None else contents.read()


def content_of(path: Path) -> bytes | None:
    """The bytes of a file, None if it is not there."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
