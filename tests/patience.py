"""How long a test waits for what is to happen."""

HANGS = 60.0
"""Seconds that nothing takes but what hangs, on a machine of any speed. Who waits so long asks for no speed."""
