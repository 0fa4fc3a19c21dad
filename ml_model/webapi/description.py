"""The API's description for people: Swagger UI from this server, to read only.

Its scripts come from a package (``fastapi-offline`` ships Swagger UI's files; its code is not used), not from somebody
else's server, and the page is sandboxed: behind a gateway it has the app's address, and a script in it, whatever it is
made to do, has an origin of its own there, no cookie, and nobody to talk to. So the description is handed to it as a
script, and requests cannot be tried out, which needed a token in any case.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse

POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Swagger UI writes styles into its elements: hence ``unsafe-inline``."""
_KEPT = "max-age=86400"
_ASSETS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript", "favicon.png": "image/png"}
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<link rel="icon" href="docs/favicon.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="description"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/description.js"></script>
</body>
</html>
"""
_SCRIPT = """SwaggerUIBundle({{
  spec: {schema}, dom_id: "#description", supportedSubmitMethods: [], validatorUrl: null, queryConfigEnabled: false,
}});
"""
description_routes = APIRouter(include_in_schema=False)


@description_routes.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """Return the description for programs."""
    return Response(_schema(request.app), media_type="application/json", headers={"Cache-Control": _KEPT})


@description_routes.get("/docs")
async def page(request: Request) -> HTMLResponse:
    """Return the page; its addresses are relative, so that it works below ``/api`` too."""
    app: FastAPI = request.app
    return HTMLResponse(_PAGE.format(title=app.title), headers={"Content-Security-Policy": POLICY})


@description_routes.get("/docs/description.js")
async def script(request: Request) -> Response:
    """Return the script that shows the description."""
    return Response(_script(request.app), media_type="text/javascript", headers={"Cache-Control": _KEPT})


@description_routes.get("/docs/{name}")
async def asset(name: str) -> Response:
    """Return one of Swagger UI's files."""
    if name not in _ASSETS:
        raise HTTPException(404, f"expected one of {', '.join(_ASSETS)}")
    return Response(_read(name), media_type=_ASSETS[name], headers={"Cache-Control": _KEPT})


@cache
def _schema(app: FastAPI) -> bytes:
    """Return the description, made once: anybody may ask for it, and 200 kB of JSON take 7 ms of the event loop."""
    return json.dumps(app.openapi()).encode()


@cache
def _script(app: FastAPI) -> bytes:
    return _SCRIPT.format(schema=_schema(app).decode()).encode()


@cache
def _read(name: str) -> bytes:
    return (files("fastapi_offline") / "static" / name).read_bytes()
