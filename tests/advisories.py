"""A stand-in for osv.dev, which tells pip-audit what is known of a package: there is no network to the real one."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator

# Of all packages, the one that has a vulnerability: no service depends on it.
VULNERABLE = "toml"
ADVISORY = "PYSEC-0000-1"


class Advisories(http.server.BaseHTTPRequestHandler):
    """https://google.github.io/osv.dev/post-v1-query/."""

    def do_POST(self) -> None:
        name = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
        affected = [{"package": {"name": name, "ecosystem": "PyPI"}}]
        found = {"vulns": [{"id": ADVISORY, "affected": affected}]} if name == VULNERABLE else {}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    def log_message(self, *arguments: object) -> None:
        """Nothing: pip-audit asks of each package."""


@contextlib.contextmanager
def advisories() -> Iterator[dict[str, str]]:
    """The variables that send pip-audit to the stand-in, for as long as the block lasts."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Advisories)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/v1/query"
        yield {"PIP_AUDIT_VULNERABILITY_SERVICE": "osv", "PIP_AUDIT_OSV_URL": url}
    finally:
        server.shutdown()
        server.server_close()
