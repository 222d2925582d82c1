"""What the capability does where there is a database: tables, endpoints and commands."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import APIRouter

from chassis.part import Schema
from chassis.settings import Settings

from .sessions import Sessions

if TYPE_CHECKING:
    import click

    from .issuer import Issuer


class Issuing:
    """Issues tokens to users in `database`."""

    def __init__(self, database: Sessions) -> None:
        self._database = database
        self._issuer: Issuer | None = None

    def schema(self) -> Schema:
        """The tables."""
        from .tables import metadata

        return Schema("auth", Path(__file__).with_name("migrations"), metadata)

    def routers(self, settings: Settings) -> Sequence[APIRouter]:
        """The endpoints."""
        from .endpoints import router

        return [router(self._running, settings)]

    def commands(self) -> Sequence[click.Command]:
        """What is done to users."""
        from .commands import user_commands

        return [user_commands(self._database)]

    @contextlib.asynccontextmanager
    async def opened(self, settings: Settings) -> AsyncIterator[None]:
        """Issue tokens for as long as the block lasts. Raises StartError if there is nothing to sign them with."""
        from ..tokens import signer
        from ..verifier import as_auth
        from .issuer import issuing

        async with issuing(settings, signer=signer(as_auth(settings)), sessions=self._database) as self._issuer:
            yield
        self._issuer = None

    def _running(self) -> Issuer:
        if self._issuer is None:
            raise RuntimeError("Tokens are issued while the service runs.")
        return self._issuer
