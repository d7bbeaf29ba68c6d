"""`/docs` works on a machine without internet."""

import re
from typing import Any
from urllib.parse import urljoin

import pytest

pytestmark = pytest.mark.anyio


async def test_the_page_and_all_that_it_loads_come_from_the_service(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        del client.headers["x-api-key"]
        page = await client.get("/docs")
        links = re.findall(r'(?:src|href)="([^"]*)"', page.text)
        loaded = {link: await client.get(urljoin("/docs", link)) for link in links}
        start = loaded["docs/start.js"].text
        (document,) = re.findall(r'url: "([^"]*)"', start)
        described = await client.get(urljoin("/docs", document))

    assert len(loaded) == 4
    assert "//" not in page.text.replace("<!DOCTYPE html>", "")
    assert "//" not in start
    assert {answer.status_code for answer in loaded.values()} == {200}
    assert loaded["docs/swagger-ui-bundle.js"].headers["content-type"].startswith("text/javascript")
    assert "SwaggerUIBundle" in loaded["docs/swagger-ui-bundle.js"].text
    assert loaded["docs/swagger-ui.css"].headers["content-type"].startswith("text/css")
    assert described.json()["info"]["title"] == served.service.title


async def test_a_strict_policy_lets_in_scripts_of_the_service_alone(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        page = await client.get("/docs")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))

    assert policy["default-src"] == "'none'"
    assert {policy[source] for source in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert not re.search(r"<script(?![^>]*\bsrc=)|\bon\w+=|<style", page.text)
