"""The life of the process: from its start, by its health, to its end."""
