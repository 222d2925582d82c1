"""Twelvefold: what `scaraplate rollup` needs to keep a service in step with its template."""
