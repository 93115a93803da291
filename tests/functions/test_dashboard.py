"""Pages and their files as API Gateway gets them from the handler: the dashboard and the documentation."""

from __future__ import annotations

import base64
import gzip
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.functions.api import WEB_SOCKET_URL, Answer, Api, http_event, invoke

PAGE = "<!doctype html><title>Page</title>"
SCRIPT = "export const answer = 42; // …\n" * 50
PICTURE = b"\x89PNG\r\n\x1a\n\xff"

STRICT = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self' wss://def456.execute-api.eu-west-1.amazonaws.com",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "dashboard"
    assets = folder / "assets"
    (assets / "more.js").mkdir(parents=True)
    (folder / "index.html").write_text(PAGE)
    (folder / "beside.js").write_text("not an asset")
    (assets / "main.js").write_text(SCRIPT)
    (assets / "icon.svg").write_text("<svg/>")
    (assets / "icon.png").write_bytes(PICTURE)
    (assets / "notes.txt").write_text("not for everyone")
    (assets / "more.js" / "inner.js").write_text(SCRIPT)
    (tmp_path / "app.py").write_text("secret")
    (tmp_path / "main.js").write_text("secret")
    return folder


@pytest.fixture
def api(folder: Path) -> Api:
    return Api(dashboard=folder)


def raw(api: Api, target: str, **headers: str) -> dict[str, Any]:
    return invoke(api.handler, http_event("GET", target, headers={"Accept-Encoding": "gzip, deflate, br", **headers}))


@pytest.mark.parametrize(
    ("path", "content_type", "text"),
    [
        ("/", "text/html; charset=utf-8", PAGE),
        ("/assets/main.js", "text/javascript; charset=utf-8", SCRIPT),
        ("/assets/icon.svg", "image/svg+xml", "<svg/>"),
    ],
)
def test_the_page_and_its_files_are_given_out_as_what_they_are(
    api: Api, path: str, content_type: str, text: str
) -> None:
    answer = api.get(path)
    assert (answer.status, answer.headers["content-type"], answer.text) == (200, content_type, text)


def test_a_picture_arrives_whole(api: Api) -> None:
    answer = raw(api, "/assets/icon.png")
    assert answer["isBase64Encoded"]
    assert base64.b64decode(answer["body"]) == PICTURE
    assert "content-encoding" not in answer["headers"]


@pytest.mark.parametrize("path", ["/", "/assets/main.js"])
def test_a_browser_is_told_to_load_and_run_nothing_from_elsewhere(api: Api, path: str) -> None:
    headers = api.get(path).headers
    assert set(headers["content-security-policy"].split("; ")) == STRICT
    assert WEB_SOCKET_URL.startswith("wss://def456.")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    "name",
    [
        *(
            "index.html",
            "beside.js",
            "notes.txt",
            "more.js",
            "inner.js",
            "nothing.js",
            ".",
            "..",
            "MAIN.JS",
            "main.js%00",
        ),
        *(
            "../index.html",
            "..%2findex.html",
            "../app.py",
            "..%2fapp.py",
            "%2e%2e/app.py",
            "..%5capp.py",
            "../main.js",
            "..%2fmain.js",
            "/etc/passwd",
        ),
        *("more.js/inner.js", "more.js%2finner.js", "%2fetc%2fpasswd", "", "%ff", "\ud7ff"),
    ],
)
def test_nothing_else_is_given_out_by_any_spelling(api: Api, name: str) -> None:
    answer = api.get(f"/assets/{name}")
    assert (answer.status, answer.json["code"]) == (404, "NOT_FOUND")


def test_what_has_not_changed_is_not_sent_again(api: Api, folder: Path) -> None:
    first = api.get("/assets/main.js")
    tag = first.headers["etag"]
    assert tag.startswith('"')
    assert first.headers["cache-control"] == "no-cache"
    for known in (tag, f"W/{tag}", f'"another", {tag}', "*"):
        again = api.request("GET", "/assets/main.js", headers={"If-None-Match": known})
        assert (again.status, again.text, again.headers["etag"]) == (304, "", tag)
    assert api.request("GET", "/assets/main.js", headers={"If-None-Match": '"another"'}).status == 200

    (folder / "assets" / "main.js").write_text("another script")
    assert Api(dashboard=folder).get("/assets/main.js").headers["etag"] != tag


def test_text_is_compressed_for_whoever_takes_that_under_a_tag_of_its_own(api: Api) -> None:
    plain, compressed = api.get("/assets/main.js"), raw(api, "/assets/main.js")
    assert compressed["headers"]["content-encoding"] == "gzip"
    assert gzip.decompress(base64.b64decode(compressed["body"])).decode() == SCRIPT
    assert compressed["headers"]["etag"] != plain.headers["etag"]
    assert plain.headers["vary"] == compressed["headers"]["vary"] == "Accept-Encoding"
    assert raw(api, "/assets/main.js", **{"If-None-Match": compressed["headers"]["etag"]})["statusCode"] == 304
    refused = api.request("GET", "/assets/main.js", headers={"Accept-Encoding": "gzip;q=0, br"})
    assert refused.text == SCRIPT


@pytest.mark.parametrize("path", ["/", "/assets/main.js"])
def test_its_head_is_the_same_without_the_body(api: Api, path: str) -> None:
    whole, head = api.get(path), api.request("HEAD", path)
    assert (head.status, head.text, head.headers) == (200, "", whole.headers)


def test_nothing_can_be_put_there(api: Api) -> None:
    answer: Answer = api.request("POST", "/assets/main.js", body="1")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_no_file_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    api = Api(dashboard=tmp_path / "later")
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "index.html").write_text(PAGE)
    assert api.get("/").text == PAGE


SWAGGER_UI = {
    "swagger-ui-bundle.js": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
    "swagger-ui.css": "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
}
"""SHA-256 of the files in swagger-ui-dist 5.35.0."""


def test_the_documentation_is_shown_by_a_pinned_swagger_ui_of_our_own_and_loads_nothing_from_elsewhere() -> None:
    api = Api()
    page = api.get("/docs")
    assert set(page.headers["content-security-policy"].split("; ")) == STRICT
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page.text)
    assert {f'"docs/{name}"' for name in SWAGGER_UI} <= set(re.findall(r'"docs/[^"]+"', page.text))
    for name, digest in SWAGGER_UI.items():
        plain, packed = api.get(f"/docs/{name}"), raw(api, f"/docs/{name}")
        assert sha256(plain.text.encode()).hexdigest() == digest
        assert packed["headers"]["content-encoding"] == "gzip"
        assert gzip.decompress(base64.b64decode(packed["body"])).decode() == plain.text
        assert packed["headers"]["content-type"] == plain.headers["content-type"]
        # An invocation's answer may have 6 MB.
        assert len(packed["body"]) < 1_000_000
    for name in ("index.html", "LICENSE", "NOTICE", "swagger-ui.css.gz", "..%2fapp.py"):
        assert api.get(f"/docs/{name}").status == 404, name


def test_a_stack_without_a_dashboard_says_so(tmp_path: Path) -> None:
    assert Api(dashboard=tmp_path / "nowhere").get("/").json["code"] == "NOT_FOUND"
