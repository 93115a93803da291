"""Questions over HTTP, asked again while it makes sense."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx

from order_client.backoff import Backoff
from order_client.errors import ClientError, NoSwap, TimedOut, Unreachable, problem

CONNECT_S = 5
"""Who has not answered by then is not there; the rest of the timeout is for the answer."""

_MOST_PAUSE_S = 30
"""The longest `Retry-After` that is obeyed."""


Within = Callable[[float], float]
"""So many seconds, or what is left of the time that there is for all. Raises `TimedOut` when nothing is."""


def unlimited(seconds: float) -> float:
    return seconds


class Http:
    """JSON in, JSON out. Everything asked through it is safe to ask twice, orders by their keys."""

    def __init__(self, url: str, timeout: float, backoff: Backoff, transport: httpx.BaseTransport | None) -> None:
        if not _is_http(url):
            raise ValueError(f"{url!r} is not an http:// or https:// URL")
        self._url = url
        self._timeout = timeout
        self._backoff = backoff
        self._http = httpx.Client(
            base_url=url,
            transport=transport,
            trust_env=uses_proxies(url),
        )

    def ask(  # noqa: PLR0913
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        within: Within = unlimited,
    ) -> Any:
        """The answer's JSON. Raises `ClientError` after the last attempt, or one that says that no other would help."""
        # A key may be any text, and the engine says which it does not take.
        sent = httpx.Headers(headers, encoding="utf-8")
        request = self._http.build_request(method, path, json=json, params=params, headers=sent)
        for pause in self._backoff.pauses():
            try:
                return self._once(request, within)
            except ClientError as error:
                # Whoever asks for a quote asks about now, though there may be one later.
                if not error.retryable or isinstance(error, (NoSwap, TimedOut)):
                    raise
                self._backoff.sleep(within(max(pause, error.pause_s)))
        return self._once(request, within)

    def close(self) -> None:
        self._http.close()

    def _once(self, request: httpx.Request, within: Within) -> Any:
        timeout = within(self._timeout)
        request.extensions["timeout"] = httpx.Timeout(timeout, connect=min(timeout, CONNECT_S)).as_dict()
        try:
            response = self._http.send(request)
        except httpx.RequestError as error:
            raise Unreachable(f"{self._url} gives no answer: {error or type(error).__name__}") from error
        fields = _json(response)
        if response.is_success:
            return fields
        refused = problem(fields if isinstance(fields, dict) else {}, response.status_code)
        refused.pause_s = _pause(response)
        raise refused


def uses_proxies(url: str) -> bool:
    """A proxy in the environment is not for this machine itself."""
    return urlsplit(url).hostname not in ("127.0.0.1", "::1", "localhost")


def _is_http(url: str) -> bool:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return parsed.scheme in ("http", "https") and bool(parsed.host)


def _json(response: httpx.Response) -> Any:
    """None for what is none: somebody else's page, perhaps a proxy's."""
    with suppress(ValueError):
        return response.json()
    return None


def _pause(response: httpx.Response) -> float:
    seconds = response.headers.get("retry-after", "")
    return min(float(seconds), _MOST_PAUSE_S) if seconds.isdecimal() else 0
