"""The load generator against a peer of each dialect, reduced to what its clients see."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from websockets.asyncio.server import ServerConnection, serve

from benchmarks.dialects import DIALECTS
from benchmarks.load import Seen, Target, place_orders
from benchmarks.summary import summary

Json = dict[str, Any]
STORY = ["pending", "routing", "building", "submitted", "confirmed"]


@dataclass
class Peer:
    """Takes orders the way of one dialect, and tells everybody who watches one this story of it."""

    story: list[str] = field(default_factory=lambda: STORY)
    placed: list[Json] = field(default_factory=list)
    of_users: dict[str, asyncio.Queue[str]] = field(default_factory=lambda: defaultdict(asyncio.Queue))
    url: str = ""
    ws_url: str = ""

    async def post(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        order = json.loads(await reader.readexactly(length))
        order_id = self.place(order | {"path": head.split()[1]})
        self.of_users[order.get("userId", "")].put_nowait(order_id)
        answer = json.dumps({"orderId": order_id, "status": "pending"}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(answer) + answer)
        await writer.drain()
        writer.close()

    async def tell(self, socket: ServerConnection) -> None:
        assert socket.request
        query = dict(parse_qsl(urlsplit(socket.request.path).query))
        await socket.send("welcome")
        await socket.send('["hello"]')
        if "userId" in query:
            order_id = await self.of_users[query["userId"]].get()
            await socket.send(json.dumps({"orderId": "somebody else's", "status": "failed"}))
        else:
            order_id = query.get("orderId") or self.place(query or json.loads(await socket.recv()))
        for status in self.story:
            await socket.send(json.dumps({"orderId": order_id, "status": status}))
        await socket.wait_closed()

    def place(self, order: Json) -> str:
        self.placed.append(order)
        return f"order-{len(self.placed)}"


@asynccontextmanager
async def running(peer: Peer) -> AsyncIterator[Peer]:
    async with await asyncio.start_server(peer.post, "127.0.0.1", 0) as http, serve(peer.tell, "127.0.0.1", 0) as ws:
        peer.url = f"http://127.0.0.1:{http.sockets[0].getsockname()[1]}"
        peer.ws_url = f"ws://127.0.0.1:{next(iter(ws.sockets)).getsockname()[1]}/live"
        yield peer


def load(peer: Peer, dialect: str, orders: int = 3, **options: float) -> list[Seen]:
    async def scenario() -> list[Seen]:
        async with running(peer):
            return await place_orders(Target(peer.url, peer.ws_url, DIALECTS[dialect], **options), orders, at_once=2)

    return asyncio.run(scenario())


@pytest.mark.parametrize("name", DIALECTS)
def test_orders_are_placed_and_watched_in_the_words_of_each_dialect(name: str) -> None:
    peer, dialect = Peer(), DIALECTS[name]
    seen = load(peer, name)
    assert [[frame["status"] for _, frame in each.frames] for each in seen] == [STORY] * 3
    assert {each.order_id for each in seen} == {"order-1", "order-2", "order-3"}
    for order in peer.placed:
        wanted = {key: str(value) for key, value in dialect.order.items()}
        assert wanted.items() <= {key: str(value) for key, value in order.items()}.items()
        assert order.get("path", "") == dialect.path
    assert all((each.answered_at is not None) == bool(dialect.path) for each in seen)
    assert all(each.sent_at <= each.ended_at for each in seen)


def test_a_failure_that_is_not_the_end_is_lingered_over() -> None:
    story = ["pending", "failed", "routing", "confirmed"]
    assert {each.status for each in load(Peer(story), "token-in-out")} == {"failed"}
    assert {each.status for each in load(Peer(story), "token-in-out", linger_seconds=5)} == {"confirmed"}


def test_an_order_that_goes_on_after_its_failure_has_not_ended() -> None:
    seen = load(Peer(["pending", "failed", "routing"]), "connect", linger_seconds=0.1, timeout_seconds=0.4)
    assert {each.error for each in seen} == {"no end within 0.4 s"}


def test_orders_without_an_end_are_told_apart_from_those_that_ended() -> None:
    seen = load(Peer(["pending", "routing"]), "socket", timeout_seconds=0.2)
    numbers = summary(seen)
    assert numbers["errors"] == {"no end within 0.2 s": 3}
    assert numbers["ends"] == {}


def test_a_peer_that_is_not_there_is_an_error_of_each_order() -> None:
    target = Target("http://127.0.0.1:9", "ws://127.0.0.1:9", DIALECTS["token-in-out"])
    numbers = summary(asyncio.run(place_orders(target, 2, at_once=2)))
    assert list(numbers["errors"].values()) == [2]


def test_no_more_orders_are_under_way_than_asked_for() -> None:
    most, under_way = 0, 0

    class Counting(Peer):
        async def tell(self, socket: ServerConnection) -> None:
            nonlocal most, under_way
            under_way += 1
            most = max(most, under_way)
            await super().tell(socket)
            under_way -= 1

    load(Counting(), "connect", orders=8)
    assert most == 2


def test_a_status_counts_from_when_it_was_first_told() -> None:
    frames = [(2.0, {"status": "routing"}), (3.0, {"status": "routing"}), (4.0, {"status": "confirmed"})]
    numbers = summary([Seen(1.0, frames=frames), Seen(1.0, frames=[(4.0, {"status": "routing"}), frames[-1]])])
    assert numbers["statusMs"]["routing"]["p50"] == 2_000
    assert numbers["endMs"]["p99"] == 3_000
    assert numbers["ordersPerSecond"] == pytest.approx(2 / 3)
