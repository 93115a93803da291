"""What browsers load: pages that their headers hold to this API."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from order_engine.runtime.sites import Asset, Encoded, Site

_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def add_site(app: FastAPI, site: Site, *, page: str, assets: str, web_socket_url: str) -> None:
    """The page at one path and its files below another. The page's own URLs are relative: all of it may lie below a
    stage or a domain's path.
    """
    # Names carry no version, and a new page with an old script would break: so every load asks, and mostly gets a 304.
    headers = {
        **_SAFE,
        "Content-Security-Policy": _content_policy(web_socket_url),
        "Cache-Control": "no-cache",
        "Vary": "Accept-Encoding",
    }

    async def get_page(request: Request) -> Response:
        return _answer(request, site.page, headers)

    async def get_asset(request: Request) -> Response:
        return _answer(request, site.asset(request.path_params["name"]), headers)

    app.add_route(page, get_page, include_in_schema=False)
    app.add_route(f"{assets}/{{name}}", get_asset, include_in_schema=False)


def _content_policy(web_socket_url: str) -> str:
    """Nothing but our own files and the two APIs; nothing inline, so no text of an order can become a script."""
    url = urlsplit(web_socket_url)
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            f"connect-src 'self' {url.scheme}://{url.netloc}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _answer(request: Request, asset: Asset | None, common: dict[str, str]) -> Response:
    if asset is None:
        raise HTTPException(404)
    encoded = asset.encoded(accepts_gzip=_accepts_gzip(request.headers.get("accept-encoding", "")))
    headers = {**common, "ETag": encoded.tag}
    if _is_known(encoded, request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    headers |= {"Content-Type": asset.content_type, "Content-Length": str(len(encoded.content))}
    if encoded.encoding is not None:
        headers["Content-Encoding"] = encoded.encoding
    return Response(b"" if request.method == "HEAD" else encoded.content, headers=headers)


def _is_known(encoded: Encoded, if_none_match: str) -> bool:
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return not tags.isdisjoint({encoded.tag, "*"})


def _accepts_gzip(accept_encoding: str) -> bool:
    for choice in accept_encoding.lower().split(","):
        name, _, quality = choice.partition(";")
        if name.strip() in {"gzip", "*"}:
            return quality.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
