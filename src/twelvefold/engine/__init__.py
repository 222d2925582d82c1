"""What brings a template's version into a service."""
