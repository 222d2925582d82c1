"""The page: a form, a progress bar, and what came of it. All of it are files in the folder `page`."""

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse

FOLDER = Path(__file__).with_name("page")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"content-security-policy": POLICY, "cache-control": "no-cache"}

router = APIRouter(include_in_schema=False)


@router.get("/")
async def page() -> FileResponse:
    return FileResponse(FOLDER / "index.html", headers=HEADERS)


@router.get("/page.js")
async def script() -> FileResponse:
    return FileResponse(FOLDER / "page.js", headers=HEADERS, media_type="text/javascript")


@router.get("/page.css")
async def style() -> FileResponse:
    return FileResponse(FOLDER / "page.css", headers=HEADERS)
