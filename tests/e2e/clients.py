"""Clients of the deployed stack: plain HTTP and a plain WebSocket, and what tests need to see behind them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import websockets
from websockets.asyncio.client import ClientConnection

from local.stack import Stack
from order_engine.domain.orders import TERMINAL
from order_engine.service.accept_order import PUBLIC, order_id_under

Json = dict[str, Any]

ENDINGS = {status.value for status in TERMINAL}
HAPPY_PATH = ["pending", "routing", "building", "submitted", "confirmed"]
SELL_SOL: Json = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "1.5"}


async def until(question: Callable[[], Awaitable[Any]], seconds: float, wanted: str) -> Any:
    """The first true answer; fails with the last one when there is none in time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        answer = await question()
        if answer:
            return answer
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"{wanted}: not within {seconds:g} s; last seen: {answer!r}")
        await asyncio.sleep(0.1)


class Watch:
    """An open WebSocket and everything that has come through it, repeated sequences dropped as clients do."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.answers: list[Json] = []
        self.events: list[Json] = []

    async def say(self, frame: object) -> None:
        await self.socket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    async def next(self, seconds: float = 30) -> Json:
        """The next frame, events and answers alike."""
        try:
            frame: Json = json.loads(await asyncio.wait_for(self.socket.recv(), seconds))
        except TimeoutError:
            raise AssertionError(f"silence for {seconds:g} s after {self.statuses()}") from None
        if "progress" not in frame:
            self.answers.append(frame)
        elif frame["sequence"] > max(self.sequences(frame["orderId"]), default=0):
            self.events.append(frame)
        return frame

    async def answer(self, seconds: float = 30) -> Json:
        """The next frame that is no event."""
        while True:
            frame = await self.next(seconds)
            if frame is (self.answers[-1] if self.answers else None):
                return frame

    async def end(self, order_id: str | None = None, seconds: float = 60) -> list[Json]:
        """All events of the order up to its last one."""
        while True:
            for event in self.events:
                if event["status"] in ENDINGS and order_id in (None, event["orderId"]):
                    return [seen for seen in self.events if seen["orderId"] == event["orderId"]]
            await self.next(seconds)

    def statuses(self, order_id: str | None = None) -> list[str]:
        return [event["status"] for event in self.events if order_id in (None, event["orderId"])]

    def sequences(self, order_id: str) -> list[int]:
        return [event["sequence"] for event in self.events if event["orderId"] == order_id]


class Client:
    def __init__(self, stack: Stack, http: httpx.AsyncClient) -> None:
        self.stack = stack
        self.http = http

    async def submit(self, path: str = "/api/orders", key: str | None = None, **order: Any) -> Json:
        headers = {} if key is None else {"Idempotency-Key": key}
        response = await self.http.post(path, json=order or SELL_SOL, headers=headers)
        assert response.status_code == 202, response.text
        accepted: Json = response.json()
        return accepted

    async def submit_until_answered(self, key: str, **order: Any) -> tuple[httpx.Response, int]:
        """As a client should: the same key until there is an answer; and how often it had to be repeated."""
        repeats = 0
        while True:
            with suppress(httpx.TransportError):
                response = await self.http.post("/api/orders", json=order, headers={"Idempotency-Key": key})
                if response.status_code < 500:
                    return response, repeats
            repeats += 1
            await asyncio.sleep(0.5)

    async def order(self, order_id: str) -> Json:
        response = await self.http.get(f"/api/orders/{order_id}")
        assert response.status_code == 200, response.text
        found: Json = response.json()
        return found

    @asynccontextmanager
    async def watch(self, **parameters: Any) -> AsyncIterator[Watch]:
        url = self.stack.endpoints.ws + (f"?{urlencode(parameters)}" if parameters else "")
        async with websockets.connect(url, open_timeout=30, max_size=None) as socket:
            yield Watch(socket)

    async def outcome(self, order_id: str, seconds: float = 60) -> Json:
        """The order once it has ended."""

        async def ended() -> Json | None:
            order = await self.order(order_id)
            return order if order["status"] in ENDINGS else None

        found: Json = await until(ended, seconds, f"the end of {order_id}")
        return found

    async def reaches(self, order_id: str, status: str, seconds: float = 30) -> None:
        async def has_reached() -> bool:
            return any(event["status"] == status for event in (await self.order(order_id))["events"])

        await until(has_reached, seconds, f"{order_id} {status}")

    async def submit_with_faults(self, faults: dict[str, tuple[str, int]], **order: Any) -> str:
        """Submit an order for which, at each of these points, something happens so many times."""
        key = f"faulty-{uuid4()}"
        order_id = order_id_under(order.get("userId", PUBLIC), key)
        inject(self.stack, order_id, faults)
        accepted = await self.submit(key=key, **(SELL_SOL | order))
        assert accepted["orderId"] == order_id
        return order_id

    async def submit_slowly(self, point: str, *, milliseconds: int) -> str:
        """Submit an order for which one call takes so much longer."""
        key = f"slow-{uuid4()}"
        inject(self.stack, order_id_under(PUBLIC, key), {point: ("delay", 1)}, milliseconds=milliseconds)
        accepted = await self.submit(key=key)
        return str(accepted["orderId"])

    async def recorded(self, order_id: str, seconds: float = 60) -> Json:
        """The order once it is in Postgres and settled."""
        question = partial(asyncio.to_thread, settled, self.stack, order_id)
        item: Json = await until(question, seconds, f"the record of {order_id}")
        return item


@asynccontextmanager
async def client_of(stack: Stack) -> AsyncIterator[Client]:
    limits = httpx.Limits(max_connections=100)
    # A hundred requests at once wait for a few workers, and longer while other tests run beside them.
    async with httpx.AsyncClient(base_url=stack.endpoints.http, timeout=60, limits=limits) as http:
        yield Client(stack, http)


def run(stack: Stack, scenario: Callable[[Client], Awaitable[Any]]) -> Any:
    async def with_client() -> Any:
        async with client_of(stack) as client:
            return await scenario(client)

    return asyncio.run(with_client())


def inject(stack: Stack, scope: str, faults: dict[str, tuple[str, int]], *, milliseconds: int = 0) -> None:
    """`faults` is point → (action, times); `scope` an order's id, or * for all orders."""
    item: Json = {"pk": {"S": f"FAULT#{scope}"}, "sk": {"S": "FAULT"}}
    for point, (action, times) in faults.items():
        item[point] = {"M": {"action": {"S": action}, "times": {"N": str(times)}, "ms": {"N": str(milliseconds)}}}
    stack.client("dynamodb").put_item(TableName=stack.outputs["OrdersTableName"], Item=item)


def faults_left(stack: Stack, scope: str) -> dict[str, int]:
    key = {"pk": {"S": f"FAULT#{scope}"}, "sk": {"S": "FAULT"}}
    item = stack.client("dynamodb").get_item(TableName=stack.outputs["OrdersTableName"], Key=key)["Item"]
    return {point: int(fault["M"]["times"]["N"]) for point, fault in item.items() if "M" in fault}


def settled(stack: Stack, order_id: str) -> Json | None:
    """The order's item, once nothing about it is unfinished."""
    key = {"pk": {"S": f"ORDER#{order_id}"}, "sk": {"S": "ORDER"}}
    item: Json = stack.client("dynamodb").get_item(TableName=stack.outputs["OrdersTableName"], Key=key)["Item"]
    return None if "live" in item else item


def ledger(stack: Stack) -> list[Json]:
    """Every entry of the simulated chain: {signature, orderId, outcome}."""
    pages = stack.client("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs["LedgerTableName"])
    return [
        {
            "signature": item["signature"]["S"],
            "orderId": item["orderMemo"]["S"].split(":")[0],
            "outcome": item["outcome"]["S"],
        }
        for page in pages
        for item in page["Items"]
    ]


def swaps_of(stack: Stack, order_id: str) -> list[str]:
    """Signatures of the swaps that landed for this order."""
    return [
        entry["signature"] for entry in ledger(stack) if entry["orderId"] == order_id and entry["outcome"] == "landed"
    ]
