"""The API's description and the app's page load nothing from elsewhere."""

from __future__ import annotations

import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
import streamlit

from semg.settings import PROJECT_DIR
from webapi import description

FOREIGN = re.compile(r"""^\s*(?:[a-z][a-z0-9+.-]*:)?//""", re.IGNORECASE)
"""An address with a host of its own, whatever the scheme."""
LOADS = re.compile(
    r"""(?:fetch\(|import\(|from\s*|importScripts\(|url\(|@import\s*|\.src\s*=\s*|\bsrc=)["'`]?"""
    r"""(?:https?:)?//[^"'`)\s]+"""
)
"""What a script or a style sheet asks of another host in so many words."""


class Addresses(HTMLParser):
    """Every address that a page asks for or leads to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = ("src", "href", "srcset", "action", "data", "poster", "content", "formaction")
        self.found += [value or "" for name, value in attributes if name in named]


@pytest.mark.servers
def test_description_is_made_once_whoever_asks_for_it(api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [api.get("/openapi.json"), api.get("/docs/description.js")]
    monkeypatch.setattr(description.json, "dumps", lambda given: pytest.fail("made again"))
    again = [api.get("/openapi.json"), api.get("/docs/description.js")]
    assert [one.content for one in made] == [one.content for one in again]
    assert made[0].json()["paths"]["/v1/profiles"]
    assert made[0].headers["Cache-Control"] == "max-age=86400"


@pytest.mark.servers
def test_description_is_complete_without_another_host(api: httpx.Client) -> None:
    page = api.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    found = [address for address in Addresses(page.text).found if address]
    assert len(found) >= 4
    for address in found:
        assert not FOREIGN.match(address), address
        answer = api.get(urljoin("/docs", address))
        assert answer.status_code == 200, address
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert LOADS.findall(page.text) == []
    assert LOADS.findall(api.get("/docs/swagger-ui.css").text) == []
    script = api.get("/docs/description.js").text
    assert LOADS.findall(script) == []
    assert '"/predict"' in script
    assert "supportedSubmitMethods: []" in script
    assert api.get("/docs/../api.py").status_code == api.get("/docs/redoc.standalone.js").status_code == 404


@pytest.mark.servers
def test_policy_names_no_host_and_keeps_the_page_apart(api: httpx.Client) -> None:
    policy = api.get("/docs").headers["content-security-policy"]
    assert "//" not in policy
    assert "connect-src" not in policy, "default-src 'none': it talks to nobody"
    directives = {part.split()[0]: part.split()[1:] for part in policy.split(";")}
    assert directives["sandbox"] == ["allow-scripts"], "another origin than the app's, behind the gateway too"
    assert directives["default-src"] == ["'none'"]
    assert directives["script-src"] == ["'self'"]


@pytest.mark.servers
@pytest.mark.parametrize("path", ["/redoc", "/docs/oauth2-redirect"])
def test_other_pages_of_fastapi_are_not_there(api: httpx.Client, path: str) -> None:
    assert api.get(path).status_code == 404


@pytest.mark.servers
def test_no_answer_of_the_api_allows_another_host(api: httpx.Client) -> None:
    for path in ("/docs", "/docs/description.js", "/openapi.json", "/healthz", "/nowhere", "/videos/1", "/exports/1-a"):
        answer = api.get(path)
        assert "//" not in answer.headers["content-security-policy"], path


MAP_ICONS = "cdn.jsdelivr.net/npm/@mapbox/maki@"
"""Pictures on Plotly's maps, of which the app has none."""
STATIC = Path(streamlit.__file__).parent / "static"


def test_streamlits_page_loads_from_its_own_host_only() -> None:
    addresses = Addresses((STATIC / "index.html").read_text(encoding="utf-8")).found
    assert len(addresses) > 10
    assert [address for address in addresses if FOREIGN.match(address)] == []


@pytest.mark.parametrize("kind", ["js", "css"])
def test_streamlits_files_ask_no_other_host_in_so_many_words(kind: str) -> None:
    """What the page does when it runs, the browser's tests show; its usage statistics are off."""
    paths = sorted(STATIC.rglob(f"*.{kind}"))
    assert paths
    found = [hit for path in paths for hit in LOADS.findall(path.read_text(encoding="utf-8")) if MAP_ICONS not in hit]
    assert found == []
    config = tomllib.loads((PROJECT_DIR / "streamlit_apps/.streamlit/config.toml").read_text(encoding="utf-8"))
    assert config["browser"]["gatherUsageStats"] is False


def test_the_apps_own_scripts_and_styles_name_no_other_host() -> None:
    paths = [path for kind in ("js", "css") for path in (PROJECT_DIR / "streamlit_apps").rglob(f"*.{kind}")]
    assert len(paths) > 5
    for path in paths:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/", "")  # names of namespaces
        assert not re.search(r"https?://|[\"'`]//[a-z]", text), path.name


def test_the_search_finds_what_it_is_for() -> None:
    for text in (
        'fetch("https://a.example/x")', "import('//a.example/x.js')", "url(https://a.example/f.woff)",
        '<script src="//a.example/x">', "import x from 'https://a.example/x.js'", '@import "https://a.example/x.css"',
    ):  # fmt: skip
        assert LOADS.search(text), text
    assert Addresses('<img src="http://a.example/p.png"><a href="//a.example">').found[1] == "//a.example"
    assert FOREIGN.match("HTTPS://a.example/")
    assert not FOREIGN.match("docs/swagger-ui.css")
