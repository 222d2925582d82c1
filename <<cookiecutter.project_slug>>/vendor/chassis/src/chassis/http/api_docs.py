"""The API docs: Swagger UI from the environment, not from a CDN."""

from html import escape
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

ASSETS = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png")
# Addresses are relative, so that the page works behind a proxy that strips a prefix.
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="docs/favicon.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
# A file of its own and not part of the page, so that a Content-Security-Policy need not allow inline scripts. Where the
# document names no server, requests go to where the page is: a proxy may have stripped a prefix from its address.
START = """fetch("openapi.json")
  .then((answer) => answer.json())
  .then((spec) => {
    spec.servers ??= [{ url: new URL(".", location.href).href.replace(/\\/$/, "") }];
    SwaggerUIBundle({ spec, dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null });
  });
"""
# Swagger UI carries its icons as data. Nothing else comes from elsewhere, or stands in the page.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# A browser asks each time and mostly hears 304: an upgrade shows at once.
REVALIDATE = {"cache-control": "no-cache"}


def serve_api_docs(app: FastAPI) -> None:
    """Add GET /docs and what the page needs to `app`."""
    files = StaticFiles(directory=_static_files())

    async def page(request: Request) -> Response:
        headers = {**REVALIDATE, "content-security-policy": POLICY}
        return HTMLResponse(PAGE.format(title=escape(app.title)), headers=headers)

    async def slash(request: Request) -> Response:
        return RedirectResponse("../docs", 308)  # starlette's own would leave out a prefix that a proxy has stripped

    async def start(request: Request) -> Response:
        return Response(START, media_type="text/javascript", headers=REVALIDATE)

    async def asset(request: Request) -> Response:
        # In one piece: starlette's answer to a wrong Range would be no problem+json.
        request.scope["headers"] = [pair for pair in request.scope["headers"] if pair[0] != b"range"]
        response = await files.get_response(request.url.path.rpartition("/")[2], request.scope)
        response.headers.update(REVALIDATE)
        del response.headers["accept-ranges"]
        return response

    app.add_route("/docs", page, include_in_schema=False)
    app.add_route("/docs/", slash, include_in_schema=False)
    app.add_route("/docs/start.js", start, include_in_schema=False)
    for name in ASSETS:
        app.add_route(f"/docs/{name}", asset, include_in_schema=False)


def _static_files() -> Path:
    # The package carries Swagger UI's files; its own code, a wrapper around FastAPI, is not imported.
    package = find_spec("fastapi_offline")
    if package is None or package.origin is None:
        raise RuntimeError("The package fastapi-offline, which carries the API docs, is missing. Run: uv sync")
    return Path(package.origin).parent / "static"
