"""What issuing needs of the capability `database`."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession


class Sessions(Protocol):
    """The database of a service."""

    def open(self, settings: Any) -> AbstractAsyncContextManager[Any]:
        """Have sessions to give for as long as this lasts, in a command."""
        ...

    def session(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A session, committed at the end of the block, rolled back if it raises."""
        ...
