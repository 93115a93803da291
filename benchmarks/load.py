"""Load for any engine that takes orders over HTTP or a WebSocket: submit, watch, and note when what was seen."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import websockets
from websockets.asyncio.client import ClientConnection

from benchmarks.dialects import Dialect, Flow, Json


@dataclass(frozen=True, slots=True)
class Target:
    """`url` is the engine's HTTP base URL, `ws_url` where its sockets are opened."""

    url: str
    ws_url: str
    dialect: Dialect
    timeout_seconds: float = 120
    linger_seconds: float = 0
    """How long to go on watching after `failed`: some engines say so of an attempt, and confirm the order later."""


@dataclass(slots=True)
class Seen:
    """What a client saw of its order. Times are seconds of the Unix clock."""

    sent_at: float
    answered_at: float | None = None
    order_id: str = ""
    frames: list[tuple[float, Json]] = field(default_factory=list)
    error: str = ""

    @property
    def status(self) -> str:
        return str(self.frames[-1][1]["status"]) if self.frames else ""

    @property
    def ended_at(self) -> float:
        return self.frames[-1][0]

    def at(self, status: str) -> float:
        """When the first frame of this status came."""
        return next(at for at, frame in self.frames if frame["status"] == status)

    def event(self, status: str) -> Json:
        return next(frame for _, frame in self.frames if frame["status"] == status)


async def place_orders(
    target: Target,
    orders: int,
    at_once: int,
    ended: Callable[[], None] = lambda: None,
    *,
    pause_seconds: float = 0,
) -> list[Seen]:
    """Each order is placed `pause_seconds` after fewer than `at_once` are under way; `ended` is called after each."""
    places = asyncio.Semaphore(at_once)
    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(
        base_url=target.url, timeout=target.timeout_seconds, limits=limits, trust_env=False
    ) as http:

        async def in_turn() -> Seen:
            async with places:
                seen = await _place(target, http)
                ended()
                await asyncio.sleep(pause_seconds)
                return seen

        return await asyncio.gather(*(in_turn() for _ in range(orders)))


def confirmed(seen: list[Seen]) -> list[Seen]:
    """All of them. Raises `RuntimeError` where an order was not: what took no time to fail would look fast."""
    if unhappy := [each.error or each.status for each in seen if each.status != "confirmed"]:
        raise RuntimeError(f"{len(unhappy)} of {len(seen)} orders were not confirmed: {unhappy[0]}")
    return seen


async def _place(target: Target, http: httpx.AsyncClient) -> Seen:
    seen = Seen(time.time())
    try:
        async with asyncio.timeout(target.timeout_seconds):
            await _FLOWS[target.dialect.flow](target, http, seen)
    except TimeoutError:
        seen.error = f"no end within {target.timeout_seconds:g} s"
    except (httpx.HTTPError, OSError, websockets.WebSocketException) as error:
        seen.error = f"{type(error).__name__}: {error}"
    return seen


async def _post_then_watch(target: Target, http: httpx.AsyncClient, seen: Seen) -> None:
    await _post(target, http, seen, target.dialect.order)
    async with _socket(target, {target.dialect.id_field: seen.order_id}) as socket:
        await _until_end(target, socket, seen)


async def _watch_then_post(target: Target, http: httpx.AsyncClient, seen: Seen) -> None:
    user = {"userId": f"load-{uuid4()}"}
    async with _socket(target, user) as socket:
        seen.sent_at = time.time()
        await _post(target, http, seen, target.dialect.order | user)
        await _until_end(target, socket, seen)


async def _connect(target: Target, _: httpx.AsyncClient, seen: Seen) -> None:
    async with _socket(target, target.dialect.order) as socket:
        await _until_end(target, socket, seen)


async def _send(target: Target, _: httpx.AsyncClient, seen: Seen) -> None:
    async with _socket(target, {}) as socket:
        seen.sent_at = time.time()
        await socket.send(json.dumps(target.dialect.order))
        await _until_end(target, socket, seen)


_FLOWS = {
    Flow.POST_THEN_WATCH: _post_then_watch,
    Flow.WATCH_THEN_POST: _watch_then_post,
    Flow.CONNECT: _connect,
    Flow.SEND: _send,
}


async def _post(target: Target, http: httpx.AsyncClient, seen: Seen, order: Json) -> None:
    response = (await http.post(target.dialect.path, json=order)).raise_for_status()
    seen.answered_at = time.time()
    seen.order_id = str(response.json()[target.dialect.id_field])


@asynccontextmanager
async def _socket(target: Target, query: Json) -> AsyncIterator[ClientConnection]:
    url = target.ws_url + (f"?{urlencode(query)}" if query else "")
    async with websockets.connect(url, open_timeout=target.timeout_seconds, proxy=None) as socket:
        yield socket


async def _until_end(target: Target, socket: ClientConnection, seen: Seen) -> None:
    """Notes every frame that tells a status of this order; not answers, nor what was told before."""
    dialect, patience = target.dialect, None
    told: set[object] = set()
    while True:
        try:
            async with asyncio.timeout(patience):
                frame = _object(await socket.recv())
        except TimeoutError:
            return
        order_id = frame.get(dialect.id_field, seen.order_id)
        sequence = frame.get("sequence", object())
        if "status" not in frame or seen.order_id not in ("", order_id) or sequence in told:
            continue
        seen.order_id = order_id
        told.add(sequence)
        seen.frames.append((time.time(), frame))
        has_ended = frame["status"] in dialect.endings
        if has_ended and (frame["status"] != "failed" or not target.linger_seconds):
            return
        patience = target.linger_seconds if has_ended else None


def _object(text: str | bytes) -> Json:
    """Nothing where a frame is no JSON object: somebody's greeting, or an answer to a ping."""
    try:
        frame = json.loads(text)
    except ValueError:
        return {}
    return frame if isinstance(frame, dict) else {}
