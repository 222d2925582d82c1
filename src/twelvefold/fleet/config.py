"""`fleet.toml`: which services there are, where they live, and in which waves they are rolled up."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from twelvefold.errors import RefusedError
from twelvefold.git import CREDENTIALS
from twelvefold.service import Answer

Share = Annotated[float, Field(ge=0, le=1)]


SCHEMES = ("https", "http", "ssh", "git", "file")


def _address(url: str) -> str:
    if CREDENTIALS.search(url):
        raise ValueError("holds a token or a password; name the file that has it, in [forge]: token_file = 'PATH'")
    scheme, colon, _ = url.partition("://")
    # What git calls a transport helper, ext::sh for one, is a command.
    if re.match(r"\w+::", url) or (colon and scheme not in SCHEMES) or not url.isprintable():
        raise ValueError(f"is no address of a repository; write a path, host:path, or {', '.join(SCHEMES)}://")
    return url


def _inside(folder: str) -> str:
    path = PurePosixPath(folder)
    if path.is_absolute() or {"..", ".git"} & set(path.parts) or not folder.isprintable():
        raise ValueError("is no folder in a repository; write it from the repository's top: services/cart")
    return "" if folder in {"", "."} else path.as_posix()


def _no_token(token: object) -> None:
    raise ValueError(
        "is taken no more: what runs in a service's repository can read the environment. Write token_file = 'PATH', or "
        "type --token-file FILE, - for standard input. If a token stood here, take it back on the forge"
    )


def _name_of_file(name: str) -> str:
    if name == "-":
        raise ValueError("is the name of a file; for standard input, type --token-file -")
    return name


def _way_to_lock(lock: bool | str) -> bool | str:
    if isinstance(lock, str) and lock != "build":
        raise ValueError(
            'is true, false, or "build", which lets uv run what services and their dependencies build with'
        )
    return lock


Address = Annotated[str, Field(min_length=1), AfterValidator(_address)]


class StrictModel(BaseModel):
    """A table of `fleet.toml`. What it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


PUBLIC = {
    "gitlab": "https://gitlab.com",
    "gitlab-push": "https://gitlab.com",
    "github": "https://api.github.com",
}


class ForgeConfig(StrictModel):
    """Where requests are opened."""

    kind: Literal["gitlab", "gitlab-push", "github", "git"]
    """`gitlab-push` tells GitLab by push options alone; `git` opens none: the branch is all there is."""
    url: Address | None = None
    """Of the instance; gitlab.com and api.github.com if not given."""
    token: Annotated[None, BeforeValidator(_no_token)] = None
    token_file: Annotated[str, Field(min_length=1), AfterValidator(_name_of_file)] | None = None
    """The file that holds the token; relative to that of `fleet.toml`."""

    @model_validator(mode="after")
    def _whose(self) -> ForgeConfig:
        if self.kind == "git" and self.token_file and not self.url:
            raise ValueError("has a token_file and no url; say for which host it is: url = 'https://git.example.com'")
        return self

    @property
    def address(self) -> str | None:
        """The instance's address, and so the one host that sees the token; None if there is none."""
        return self.url or PUBLIC.get(self.kind)


class Declared(StrictModel):
    """One repository, or all that a pattern of paths finds."""

    url: Address
    """A URL, a path, or a pattern of paths such as /srv/git/*.git."""
    folder: Annotated[str, AfterValidator(_inside)] = ""
    """Where in the repository the service lies: of a monorepo."""
    wave: str | None = None
    ref: str | None = None
    answers: Mapping[str, Answer] = {}
    heal: bool = False
    skip: bool = False


class Discovered(StrictModel):
    """Repositories that a forge lists. One of `gitlab` and `github` names a group or an organisation there."""

    gitlab: str | None = None
    github: str | None = None
    match: str = "*"
    """A pattern of repositories' names."""
    exclude: tuple[str, ...] = ()
    topic: str | None = None
    wave: str | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Discovered:
        if (self.gitlab is None) == (self.github is None):
            raise ValueError("names one of gitlab (a group) and github (an organisation)")
        return self


class Wave(StrictModel):
    """Services that are rolled up together, before the next wave begins.

    Those that name it are in it, and those that `services` and `share` take; without both, the last wave is the rest.
    """

    name: Annotated[str, Field(pattern=r"^[\w-]+$")]
    services: tuple[str, ...] = ()
    """Patterns of names."""
    share: Share | None = None
    """Of all services; with `services`, at most so many of those."""
    max_failures: Share = 0.1
    """The share of a wave's services that may fail before the next wave is not begun."""

    @property
    def takes_who_names_it(self) -> bool:
        """Whether it says nothing of who else is in it: in the last wave, that means the rest."""
        return not self.services and self.share is None


class Config(StrictModel):
    """`fleet.toml`, read."""

    template: Address
    ref: str | None = None
    """A tag, branch or commit; the newest release if not given."""
    branch: Annotated[str, Field(min_length=1)] = "twelvefold/update"
    labels: tuple[str, ...] = ("twelvefold",)
    lock: Annotated[bool | str, AfterValidator(_way_to_lock)] = True
    """Whether `uv lock` is run: without builds, or with them if it is "build"."""
    timeout_seconds: Annotated[float, Field(gt=0)] = 300
    """How long one service may take."""
    forge: ForgeConfig = ForgeConfig(kind="git")
    services: tuple[Declared, ...] = ()
    discover: tuple[Discovered, ...] = ()
    waves: tuple[Wave, ...] = (Wave(name="all"),)

    @model_validator(mode="after")
    def _somebody(self) -> Config:
        if not self.services and not self.discover:
            raise ValueError("lists no service; add [[services]] with a url, or [[discover]] with a gitlab group")
        known = [wave.name for wave in self.waves]
        if len(set(known)) < len(known):
            raise ValueError(f"has two waves of one name: {', '.join(known)}")
        if missing := self._named - set(known):
            raise ValueError(f"has no wave {missing.pop()}; it has {', '.join(known) or 'none'}")
        self._refuse_waves_of_nobody()
        self._refuse_two_rests()
        self._refuse_a_canary_of_all()
        return self

    @property
    def _named(self) -> set[str]:
        """The waves that services name, or what is discovered does."""
        named = [*(each.wave for each in self.services), *(each.wave for each in self.discover)]
        return {name for name in named if name is not None}

    def _refuse_waves_of_nobody(self) -> None:
        if not self.waves:
            raise ValueError("has no wave, so that nobody is rolled up; leave waves out, or add [[waves]] with a name")
        for wave in self.waves:
            if wave.share == 0 or ("services" in wave.model_fields_set and not wave.services):
                said = "share = 0" if wave.share == 0 else "services = []"
                raise ValueError(
                    f"has the wave {wave.name} with {said}, which takes nobody, so that the next wave would begin with "
                    "nothing proved; write services = ['a-name'] or a share above 0, or take the wave out"
                )

    def _refuse_two_rests(self) -> None:
        *before, last = self.waves
        for wave in before:
            if wave.takes_who_names_it and wave.name not in self._named:
                both = f"{wave.name} and {last.name}" if last.takes_who_names_it else wave.name
                raise ValueError(
                    f"has the wave {wave.name} that nobody is in: the rest is for the last wave, {last.name}, alone, "
                    f"and {both} would be it; give {wave.name} services or a share, or write wave = '{wave.name}' in "
                    "the [[services]] or [[discover]] that it is for"
                )

    def _refuse_a_canary_of_all(self) -> None:
        """Refuse one wave that some name and that would take the others, too: a canary of the whole fleet."""
        if "waves" not in self.model_fields_set or len(self.waves) > 1 or not self.waves[0].takes_who_names_it:
            return
        others = [each for each in self.services if each.wave is None and not each.skip]
        if self._named and (others or any(each.wave is None for each in self.discover)):
            raise ValueError(
                f"has one wave, {self.waves[0].name}, which some services name and which would take all others, too; "
                "add after it: [[waves]] name = 'rest'"
            )


def load(path: Path) -> Config:
    """Read `fleet.toml`. Raises RefusedError with everything that is wrong."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RefusedError(
            f"There is no {path}. Name it with --fleet FILE; docs/fleet.md has one to begin with."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RefusedError(f"{path} is no TOML: {error}.") from error
    except OSError as error:
        raise RefusedError(f"{path} cannot be read: {error.strerror}.") from error
    return of(content, path)


def of(content: Mapping[str, Any], path: Path) -> Config:
    """The configuration that a table holds. Raises RefusedError with everything that is wrong."""
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        raise RefusedError("\n  ".join([f"{path} cannot be used.", *map(_sentence, error.errors())])) from error


def _sentence(details: Mapping[str, Any]) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in details["loc"]).lstrip(".")
    said = str(details["msg"]).removeprefix("Value error, ")
    if details["type"] == "extra_forbidden":
        said = "is not known here; take it out, or fix its name"
    return f"{place or 'It'}: {said[:1].lower()}{said[1:]}"
