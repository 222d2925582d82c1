"""Redaction: what looks like a secret does not reach the log."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from ..settings.types import MASK, TELLING_WORD

# At the end of a name only, unlike a setting's: token_type and secret_name are logged.
NAMED_SECRET = re.compile(rf"(?:^|[_.-])(?:{TELLING_WORD})s?$", re.IGNORECASE)
# Each leaves one group in place, which says what it was: a scheme, a user, a name.
PATTERNS = (
    re.compile(r"\b(Bearer |Basic )[\w.~+/=-]{6,}", re.IGNORECASE),
    re.compile(r"(\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{0,100}:)[^\s/@]+(?=@)", re.IGNORECASE),
    re.compile(
        rf"(\b[\w-]{{0,40}}(?:{TELLING_WORD})s?[\"']?\s?[=:]\s?[\"']?)(?!Bearer |Basic )[^\s\"',;&}}]+", re.IGNORECASE
    ),
    re.compile(r"\b(eyJ)[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),
)
DEEPEST = 6


def text_of(value: object) -> str:
    """`str(value)`, or, for an object that has none, what it is."""
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__} without a text>"


class Redactor:
    """Masks secrets: values that are known to be some, what stands behind a telling name, and tokens by their form.

    :param known: secret values, such as the settings'. Those shorter than six characters are left: they would be
        found in every other word.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        values = sorted({value for value in known if len(value) >= 6}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, values))) if values else None

    def text(self, text: str) -> str:
        """`text` without its secrets."""
        if self._known:
            text = self._known.sub(MASK, text)
        for pattern in PATTERNS:
            text = pattern.sub(rf"\g<1>{MASK}", text)
        return text

    def field(self, name: str, value: Any) -> Any:
        """What may be logged of `value`, which is called `name`. Numbers, booleans and None stay as they are."""
        return self._within(name, value, 0)

    def _within(self, name: str, value: Any, depth: int) -> Any:
        if NAMED_SECRET.search(name) and value is not None:
            return MASK
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if depth >= DEEPEST:
            return MASK
        return self._container(name, value, depth)

    def _container(self, name: str, value: Any, depth: int) -> Any:
        inside: Callable[[str, Any], Any] = lambda name, value: self._within(name, value, depth + 1)  # noqa: E731
        if isinstance(value, dict):
            return {str(key): inside(str(key), item) for key, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [inside(name, item) for item in value]
        return self.text(text_of(value))
