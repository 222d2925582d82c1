"""Twelvefold: keeps services in step with the template that they come from."""
