"""Who is calling."""

from chassis.auth import Auth

READ, WRITE = "polls:read", "polls:write"
"""The scopes: to see what was polled, and to have something polled."""

auth = Auth()
