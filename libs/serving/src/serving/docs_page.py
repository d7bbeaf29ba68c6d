"""`/docs`: Swagger UI over `/openapi.json`, from files of a package, so that it works without a way to the internet."""

import html
import importlib.util
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

__all__ = ["DOCS_PATHS", "docs_routes"]

_FILES = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "favicon.png": "image/png",
}
_START = b"""SwaggerUIBundle({
  url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset],
});
"""
_PAGE = """<!DOCTYPE html>
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
# Swagger UI has its icons in `data:`.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
_CACHED = {**_HEADERS, "cache-control": "public, max-age=86400"}

DOCS_PATHS = ("/docs", "/docs/start.js", *(f"/docs/{name}" for name in _FILES))


def docs_routes(title: str) -> list[Route]:
    """Routes of the page of a service and of all that it loads."""
    # Found and not imported: the package would bring an application of its own.
    spec = importlib.util.find_spec("fastapi_offline")
    assert spec is not None  # noqa: S101  # in requirements/serving.in
    assert spec.origin is not None  # noqa: S101  # a package on disk
    directory = Path(spec.origin).parent / "static"
    page = _PAGE.format(title=html.escape(title))

    async def show(_: Request) -> Response:
        return Response(page, media_type="text/html", headers=_HEADERS)

    async def start(_: Request) -> Response:
        return Response(_START, media_type="text/javascript", headers=_CACHED)

    def file_route(name: str, media_type: str) -> Route:
        async def send(_: Request) -> Response:
            return FileResponse(directory / name, media_type=media_type, headers=_CACHED)

        return Route(f"/docs/{name}", send)

    files = [file_route(name, media_type) for name, media_type in _FILES.items()]
    return [Route("/docs", show), Route("/docs/start.js", start), *files]
