"""Who is calling."""

from chassis_auth import Auth

READ, WRITE = "polls:read", "polls:write"
"""The scopes: to see what was polled, and to have something polled."""

auth = Auth()
