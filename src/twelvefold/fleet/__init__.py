"""The fleet: all services of an organisation, kept in step with their template by one command."""
