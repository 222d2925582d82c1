"""LOG_LEVEL: one level, and those of single loggers."""

LEVELS = ("debug", "info", "warning", "error", "critical")


def split_levels(log_level: str) -> tuple[str, dict[str, str]]:
    """Split "info,sqlalchemy.engine=debug" into the root's level and the levels of loggers. Raises ValueError."""
    root, loggers = "info", {}
    for part in filter(None, (part.strip() for part in log_level.split(","))):
        name, _, level = part.rpartition("=")
        if level.strip().lower() not in LEVELS:
            raise ValueError(f"{level.strip()!r} is no level; use {', '.join(LEVELS)}, for example info,asyncio=debug")
        if name:
            loggers[name.strip()] = level.strip().lower()
        else:
            root = level.strip().lower()
    return root, loggers
