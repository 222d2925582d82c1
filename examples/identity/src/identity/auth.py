"""Who is calling: this service verifies the tokens that it issues, as all others do."""

from chassis_auth import Auth

auth = Auth()
