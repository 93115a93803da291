"""Watching over a real WebSocket that drops connections, loses, repeats and garbles frames, or is not there at all."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from websockets.sync.server import ServerConnection, serve

from local.process import free_port
from order_client import Backoff, OrderClient, OrderNotFound, Problem, TimedOut, Unreachable
from order_client.watching import Watch

ORDER_ID = "ffd9fae9-0bfe-5bb6-aa67-e98ad575292f"
STATUSES = ["pending", "routing", "building", "submitted", "confirmed"]
AT_ONCE = Backoff(first_s=0)

Json = dict[str, Any]
Script = Callable[["Connection"], None]


def event(sequence: int) -> Json:
    status = STATUSES[sequence - 1]
    return {
        "orderId": ORDER_ID,
        "sequence": sequence,
        "status": status,
        "progress": 100 if status == "confirmed" else 10 * sequence,
        "attempt": 1,
        "timestamp": "2026-11-21T03:04:05.678Z",
        "message": status,
    }


def order(sequence: int) -> Json:
    """As read over HTTP when so much had happened."""
    latest = event(sequence)
    return {
        **latest,
        "type": "market",
        "tokenIn": "SOL",
        "tokenOut": "USDC",
        "swapMode": "exactIn",
        "amount": "1.5",
        "slippageBps": 100,
        "createdAt": latest["timestamp"],
        "updatedAt": latest["timestamp"],
        "attempts": 1,
        "events": [event(number) for number in range(1, sequence + 1)],
    }


class Connection:
    """The engine's end of one."""

    def __init__(self, socket: ServerConnection) -> None:
        self._socket = socket
        assert socket.request is not None
        query = parse_qs(urlsplit(socket.request.path).query)
        assert query["orderId"] == [ORDER_ID]
        self.after = int(query["after"][0])

    def push(self, *sequences: int) -> None:
        for sequence in sequences:
            self.say(event(sequence))

    def say(self, frame: object) -> None:
        self._socket.send(frame if isinstance(frame, str) else json.dumps(frame))

    def heard(self) -> Json:
        frame: Json = json.loads(self._socket.recv(timeout=10))
        return frame

    def drop(self) -> None:
        """As a network does it: without a word."""
        self._socket.socket.close()


class Engine:
    """Plays one script a connection. `sequence` is what its order has come to, for who reads it over HTTP."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = list(scripts)
        self._failures: list[BaseException] = []
        self.afters: list[int] = []
        self.reads = 0
        self.sequence: int | None = 1

    def serve(self, socket: ServerConnection) -> None:
        connection = Connection(socket)
        self.afters.append(connection.after)
        script = self._scripts.pop(0)
        try:
            script(connection)
        except BaseException as failure:
            self._failures.append(failure)
            raise

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.reads += 1
        if self.sequence is None:
            problem = {"code": "ORDER_NOT_FOUND", "detail": "No order has this id", "retryable": False}
            return httpx.Response(404, json=problem)
        return httpx.Response(200, json=order(self.sequence))

    def has_played_all(self) -> bool:
        return not self._scripts and not self._failures


@contextmanager
def watching(engine: Engine, **settings: Any) -> Iterator[Watch]:
    with serve(engine.serve, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host, port = server.socket.getsockname()
        try:
            yield watch_of(engine, f"ws://{host}:{port}/live", **settings)
        finally:
            server.shutdown()


def watch_of(engine: Engine, url: str, **settings: Any) -> Watch:
    client = OrderClient("http://127.0.0.1", backoff=AT_ONCE, transport=httpx.MockTransport(engine.answer))
    chosen = {
        "after": 0,
        "timeout": 10,
        "read": lambda order_id, _: client.order(order_id),
        "backoff": AT_ONCE,
        **settings,
    }
    return Watch(ORDER_ID, socket_url=lambda _: url, **chosen)


def seen(engine: Engine, **settings: Any) -> list[int]:
    with watching(engine, **settings) as watch:
        sequences = [event.sequence for event in watch.events()]
    assert engine.has_played_all()
    return sequences


def test_every_event_is_told_up_to_the_last_one() -> None:
    engine = Engine(lambda connection: connection.push(1, 2, 3, 4, 5))
    assert seen(engine) == [1, 2, 3, 4, 5]
    assert engine.reads == 0


def test_after_a_lost_connection_it_goes_on_where_it_was() -> None:
    def cut(connection: Connection) -> None:
        connection.push(1, 2)
        connection.drop()

    engine = Engine(cut, lambda connection: connection.push(2, 3, 4), lambda connection: connection.push(4, 5))
    engine.sequence = 2
    assert seen(engine) == [1, 2, 3, 4, 5]
    assert engine.afters == [0, 2, 4]


def test_what_happened_while_the_connection_was_lost_is_read() -> None:
    def cut(connection: Connection) -> None:
        connection.push(1, 2)
        engine.sequence = 4
        connection.drop()

    engine = Engine(cut, lambda connection: connection.push(5))
    assert seen(engine) == [1, 2, 3, 4, 5]
    assert engine.afters == [0, 4]


def test_an_order_that_ends_while_the_connection_is_lost_needs_no_other() -> None:
    def cut(connection: Connection) -> None:
        connection.push(1, 2, 3)
        engine.sequence = 5
        connection.drop()

    engine = Engine(cut)
    assert seen(engine) == [1, 2, 3, 4, 5]


def test_repeats_are_dropped() -> None:
    engine = Engine(lambda connection: connection.push(1, 1, 2, 1, 2, 3, 3, 4, 5))
    assert seen(engine) == [1, 2, 3, 4, 5]


def test_after_a_gap_the_missing_events_are_asked_for_once_and_nothing_is_told_out_of_order() -> None:
    asked: list[Json] = []

    def lossy(connection: Connection) -> None:
        connection.push(1, 3, 4)
        asked.append(connection.heard())
        connection.push(2, 3, 4, 5)

    engine = Engine(lossy)
    assert seen(engine) == [1, 2, 3, 4, 5]
    assert asked == [{"action": "subscribe", "orderId": ORDER_ID, "after": 1}]


def test_a_lost_last_frame_is_found_by_asking() -> None:
    asked: list[Json] = []

    def lossy(connection: Connection) -> None:
        connection.push(1, 2, 3, 4)
        asked.append(connection.heard())
        connection.say({"type": "pong", "sequences": {ORDER_ID: 5}})
        asked.append(connection.heard())
        connection.push(5)

    engine = Engine(lossy)
    assert seen(engine, quiet_s=0.05) == [1, 2, 3, 4, 5]
    assert asked == [{"action": "ping"}, {"action": "subscribe", "orderId": ORDER_ID, "after": 4}]


def test_a_pong_that_is_level_asks_for_nothing() -> None:
    asked: list[Json] = []

    def slow(connection: Connection) -> None:
        connection.push(1, 2, 3, 4)
        for _ in range(5):
            asked.append(connection.heard())
            connection.say({"type": "pong", "sequences": {ORDER_ID: 4}})
        connection.push(5)

    engine = Engine(slow)
    assert seen(engine, quiet_s=0.05) == [1, 2, 3, 4, 5]
    assert asked == [{"action": "ping"}] * 5


def test_a_connection_that_stays_silent_is_given_up_for_another() -> None:
    def silent(connection: Connection) -> None:
        connection.push(1, 2)
        for _ in range(3):
            assert connection.heard() == {"action": "ping"}

    engine = Engine(silent, lambda connection: connection.push(3, 4, 5))
    engine.sequence = 2
    assert seen(engine, quiet_s=0.05) == [1, 2, 3, 4, 5]


def test_frames_that_are_no_events_of_this_order_are_not_told() -> None:
    def odd(connection: Connection) -> None:
        for frame in (
            "Internal server error",
            "[1]",
            {"message": "Internal server error", "connectionId": "x"},
            {"type": "subscribed", "orderId": ORDER_ID, "after": 0},
            {**event(1), "orderId": "another"},
        ):
            connection.say(frame)
        connection.push(1, 2, 3, 4, 5)

    assert seen(Engine(odd)) == [1, 2, 3, 4, 5]


def test_without_a_websocket_the_order_is_read_until_it_ends() -> None:
    class Progressing(Engine):
        def answer(self, request: httpx.Request) -> httpx.Response:
            answer = super().answer(request)
            self.sequence = min((self.sequence or 0) + 2, 5)
            return answer

    engine = Progressing()
    watch = watch_of(engine, f"ws://127.0.0.1:{free_port()}")
    assert [event.sequence for event in watch.events()] == [1, 2, 3, 4, 5]
    assert engine.reads == 3


def test_an_order_that_is_in_the_history_only_is_told_from_there() -> None:
    def unknown(connection: Connection) -> None:
        connection.say({"type": "error", "code": "ORDER_NOT_FOUND", "message": "No order has this id"})

    engine = Engine(unknown)
    engine.sequence = 5
    assert seen(engine) == [1, 2, 3, 4, 5]


def test_an_order_that_nobody_knows_is_said_not_to_be_there() -> None:
    def unknown(connection: Connection) -> None:
        connection.say({"type": "error", "code": "ORDER_NOT_FOUND", "message": "No order has this id"})

    engine = Engine(unknown)
    engine.sequence = None
    with pytest.raises(OrderNotFound):
        seen(engine)


def test_a_refusal_that_will_not_change_ends_the_watch_and_another_does_not() -> None:
    def busy(connection: Connection) -> None:
        connection.say({"type": "error", "code": "SERVICE_UNAVAILABLE", "message": "away", "retryable": True})

    def refusing(connection: Connection) -> None:
        connection.say({"type": "error", "code": "VALIDATION_FAILED", "message": "orderId: must be a UUID"})

    with pytest.raises(Problem, match="must be a UUID"):
        seen(Engine(busy, refusing))


def test_an_engine_that_was_never_reached_is_not_waited_for() -> None:
    client = OrderClient(f"http://127.0.0.1:{free_port()}", web_socket_url="ws://127.0.0.1:1", backoff=AT_ONCE)
    with pytest.raises(Unreachable):
        list(client.watch(ORDER_ID))


def test_an_engine_that_was_reached_before_is_waited_for() -> None:
    class Faltering(Engine):
        def answer(self, request: httpx.Request) -> httpx.Response:
            self.reads += 1
            if self.reads <= 3 * AT_ONCE.attempts:
                raise httpx.ConnectError("refused")
            return httpx.Response(200, json=order(5))

    def cut(connection: Connection) -> None:
        connection.push(1)

    engine = Faltering(cut, *(lambda connection: connection.drop() for _ in range(3)))
    assert seen(engine) == [1, 2, 3, 4, 5]


def test_it_waits_no_longer_than_it_may() -> None:
    def stuck(connection: Connection) -> None:
        connection.push(1)
        assert connection.heard() == {"action": "ping"}

    with watching(Engine(stuck), timeout=0.2) as watch:
        events = watch.events()
        assert next(events).sequence == 1
        with pytest.raises(TimedOut, match=r"within 0\.2 s"):
            next(events)


def test_an_engine_that_says_nothing_is_waited_for_no_longer_either() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = OrderClient(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=10, backoff=AT_ONCE)
        started = time.monotonic()
        with pytest.raises(TimedOut):
            list(client.watch(ORDER_ID, timeout=0.2))
    assert time.monotonic() - started < 2


def test_an_order_that_had_ended_is_not_waited_for() -> None:
    engine = Engine()
    engine.sequence = 5
    assert seen(engine, after=5) == []
    assert seen(engine, after=3) == [4, 5]


def test_lost_connections_are_followed_by_pauses_that_grow_until_something_is_heard() -> None:
    pauses: list[float] = []
    cut, told = Connection.drop, lambda connection: connection.push(2)

    class Doubling(Backoff):
        def endless(self) -> Iterator[float]:
            return iter([1.0, 2.0, 4.0, 8.0])

    backoff = Doubling(sleep=pauses.append)
    engine = Engine(cut, cut, told, cut, lambda connection: connection.push(3, 4, 5))
    seen(engine, backoff=backoff)
    # The first event is read, between the first two.
    assert pauses == [1, 2, 1, 2]
