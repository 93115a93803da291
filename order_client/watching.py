"""Watching an order: every event once, in order and without gaps, over as many connections as it takes."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from order_client.backoff import Backoff
from order_client.decoding import decode
from order_client.errors import ClientError, OrderNotFound, TimedOut, problem
from order_client.http import Within, uses_proxies
from order_client.models import Event, Order

QUIET_S = 10.0
"""After so long without a frame it asks whether it has missed one. An order takes about three seconds."""

PATIENT_PINGS = 2
"""So many unanswered, and the connection is taken for lost."""

PATIENCE_S = 60.0
"""How long an engine may be away, over both HTTP and the WebSocket, before watching is given up."""

_OPEN_S, _CLOSE_S = 10, 1

Story = Generator[Event, None, bool]

logger = logging.getLogger(__name__)


class Watch:
    """`read` gets the order over HTTP, `socket_url` says where the WebSocket is.

    A lost connection is opened again, and goes on after the last event seen. In between, and where there is no
    WebSocket to be had, the order itself is read. Repeats are dropped; after a gap, what is missing is asked for.
    """

    def __init__(  # noqa: PLR0913
        self,
        order_id: str,
        *,
        after: int,
        timeout: float | None,
        read: Callable[[str, Within], Order],
        socket_url: Callable[[Within], str],
        backoff: Backoff,
        quiet_s: float = QUIET_S,
    ) -> None:
        self._order_id = order_id
        self._seen = after
        self._asked_after = -1
        self._timeout = timeout
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._read = read
        self._socket_url = socket_url
        self._backoff = backoff
        self._quiet_s = quiet_s
        self._heard_at: float | None = None

    def events(self) -> Iterator[Event]:
        """Up to the one that ends the order. Raises `ClientError`."""
        if self._seen and (yield from self._catch_up()):
            # It had ended before: the WebSocket would have nothing to tell.
            return
        pauses = self._backoff.endless()
        while True:
            before = self._seen
            if (yield from self._follow()) or (yield from self._catch_up()):
                return
            if self._seen > before:
                pauses = self._backoff.endless()
            self._backoff.sleep(self._within(next(pauses)))

    def _follow(self) -> Story:
        """By the WebSocket, as long as it lasts. Returns whether the order has come to its end."""
        try:
            return (yield from self._pushed())
        except (OSError, WebSocketException) as error:
            logger.info("connection lost", extra={"order_id": self._order_id, "reason": str(error)})
        except OrderNotFound:
            # One that ended long ago is in the history only.
            pass
        except ClientError as error:
            if not error.retryable or isinstance(error, TimedOut):
                raise
        return False

    def _pushed(self) -> Story:
        url = self._socket_url(self._within)
        query = urlencode({"orderId": self._order_id, "after": self._seen})
        with connect(
            f"{url}?{query}",
            open_timeout=self._within(_OPEN_S),
            close_timeout=_CLOSE_S,
            # Ours say more: which event was the last.
            ping_interval=None,
            proxy=True if uses_proxies(url) else None,
        ) as socket:
            for frame in self._frames(socket):
                match frame:
                    case {"type": "error"}:
                        raise problem(frame)
                    case {"type": "pong", "sequences": dict(sequences)}:
                        if sequences.get(self._order_id) != self._seen:
                            self._ask_for_the_rest(socket)
                    case {"orderId": self._order_id, "sequence": int(sequence), "progress": int()}:
                        if sequence == self._seen + 1:
                            yield (event := self._take(decode(Event, frame)))
                            if event.has_ended:
                                return True
                        elif sequence > self._seen != self._asked_after:
                            self._ask_for_the_rest(socket)
        return False

    def _frames(self, socket: ClientConnection) -> Iterator[Mapping[str, Any]]:
        """Until it stays silent though it was asked."""
        unanswered = 0
        while unanswered <= PATIENT_PINGS:
            try:
                text = socket.recv(timeout=self._within(self._quiet_s))
            except TimeoutError:
                unanswered += 1
                socket.send(json.dumps({"action": "ping"}))
            else:
                unanswered = 0
                self._heard_at = time.monotonic()
                yield _object(text)

    def _ask_for_the_rest(self, socket: ClientConnection) -> None:
        self._asked_after = self._seen
        socket.send(json.dumps({"action": "subscribe", "orderId": self._order_id, "after": self._seen}))

    def _catch_up(self) -> Story:
        """By reading the order. Returns whether it has come to its end."""
        try:
            order = self._read(self._order_id, self._within)
        except TimedOut:
            raise
        except ClientError as error:
            if not error.retryable or self._heard_at is None or time.monotonic() > self._heard_at + PATIENCE_S:
                raise
            return False
        self._heard_at = time.monotonic()
        for event in order.events:
            if event.sequence > self._seen:
                yield self._take(event)
        return order.has_ended

    def _take(self, event: Event) -> Event:
        self._seen = event.sequence
        return event

    def _within(self, seconds: float) -> float:
        """So many, or what is left of the time given. Raises `TimedOut` when nothing is."""
        if self._deadline is None:
            return seconds
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimedOut(f"Order {self._order_id} did not come to its end within {self._timeout:g} s")
        return min(seconds, left)


def _object(text: str | bytes) -> Mapping[str, Any]:
    """Nothing for a frame that is not ours: a gateway may say in plain words that the engine behind it failed."""
    try:
        frame = json.loads(text)
    except ValueError:
        return {}
    return frame if isinstance(frame, dict) else {}
