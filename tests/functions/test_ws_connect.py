"""The WebSocket API's events as API Gateway sends them, through the function's own dispatch, on fakes."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from order_engine.domain.errors import Unavailable
from order_engine.runtime.metrics import EmfMetrics
from order_engine.runtime.ws_connect import SocketApi
from order_engine.service.accept_order import AcceptOrder
from order_engine.service.follow_orders import MAX_SUBSCRIPTIONS, FollowOrders
from order_engine.service.ports import Frame, Replay, Subscription
from tests.documents.documents import message_of_server
from tests.fakes import (
    NOON,
    CountingRandomness,
    FrozenClock,
    InMemoryConnections,
    InMemoryOrders,
    RecordingOrderQueue,
    RecordingSockets,
    RecordingStatusQueue,
)
from tests.unit.test_frames import BAD_FRAMES

ORDER = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "1.5"}


@dataclass
class Gateway:
    """Every frame that is sent, now or by the status queue, is held against the document of the WebSocket."""

    orders: InMemoryOrders = field(default_factory=InMemoryOrders)
    queue: RecordingOrderQueue = field(default_factory=RecordingOrderQueue)
    statuses: RecordingStatusQueue = field(default_factory=RecordingStatusQueue)
    connections: InMemoryConnections = field(default_factory=InMemoryConnections)
    sockets: RecordingSockets = field(default_factory=RecordingSockets)

    def __post_init__(self) -> None:
        clock, metrics = FrozenClock(), EmfMetrics("stack")
        self.api = SocketApi(
            accept=AcceptOrder(
                orders=self.orders,
                queue=self.queue,
                statuses=self.statuses,
                clock=clock,
                randomness=CountingRandomness(),
                metrics=metrics,
            ),
            follow=FollowOrders(connections=self.connections, orders=self.orders, statuses=self.statuses, clock=clock),
            statuses=self.statuses,
            sockets=self.sockets,
            clock=clock,
            metrics=metrics,
        )

    def connect(self, **parameters: str) -> int:
        return self._handle("CONNECT", queryStringParameters=parameters or None)

    def say(self, frame: object, **more: object) -> Any:
        """The frame that answers."""
        self._handle("MESSAGE", body=frame if isinstance(frame, str) else json.dumps(frame), **more)
        return self.sockets.frames["socket"][-1]

    def disconnect(self) -> int:
        return self._handle("DISCONNECT")

    def _handle(self, event_type: str, **more: object) -> int:
        context = {"connectionId": "socket", "eventType": event_type, "requestId": "request"}
        answer = asyncio.run(self.api.handle({"requestContext": context, **more}))
        waiting = [message.body for message in self.statuses.messages if isinstance(message, Frame)]
        for frame in [*self.sockets.frames.get("socket", []), *waiting]:
            message_of_server(frame)
        return answer["statusCode"]


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


def test_an_order_submitted_over_the_socket_is_accepted_and_watched(gateway: Gateway) -> None:
    gateway.connect()
    answer = gateway.say({"action": "submit", "order": ORDER})
    assert (answer["status"], answer["sequence"]) == ("pending", 1)
    assert answer["orderId"] in gateway.orders.stored
    assert [sent.order_id for sent in gateway.queue.sent] == [answer["orderId"]]
    assert Replay(answer["orderId"], "socket", after=0) in gateway.statuses.messages


def test_connecting_with_an_order_places_it(gateway: Gateway) -> None:
    assert gateway.connect(**ORDER) == 200
    [order_id] = gateway.orders.stored
    assert (order_id, "socket") in gateway.connections.subscriptions
    assert not gateway.sockets.frames


def test_connecting_with_nonsense_is_answered_by_a_first_frame_that_names_the_parameter(gateway: Gateway) -> None:
    assert gateway.connect(tokenIn="SOL", tokenOut="USDC", amount="-1") == 200
    [frame] = gateway.statuses.messages
    assert isinstance(frame, Frame)
    assert "amount" in str(frame.body["message"])
    assert not gateway.orders.stored


def test_connecting_to_an_order_asks_for_its_replay_which_says_so_where_there_is_none(gateway: Gateway) -> None:
    order_id = "5f1b0e3c-0000-4000-8000-00000000000a"
    gateway.connect(orderId=order_id)
    assert gateway.statuses.messages == [Replay(order_id, "socket", after=0)]


def test_a_ping_is_answered_by_the_high_water_marks(gateway: Gateway) -> None:
    gateway.connect()
    accepted = gateway.say({"action": "submit", "order": ORDER})
    pong = gateway.say({"action": "ping"})
    assert pong["type"] == "pong"
    assert pong["sequences"] == {accepted["orderId"]: 1}


def test_subscribing_and_unsubscribing_are_acknowledged(gateway: Gateway) -> None:
    gateway.connect()
    order_id = gateway.say({"action": "submit", "order": ORDER})["orderId"]
    assert gateway.say({"action": "unsubscribe", "orderId": order_id}) == {"type": "unsubscribed", "orderId": order_id}
    assert not gateway.connections.subscriptions
    answer = gateway.say({"action": "subscribe", "orderId": order_id, "after": 1})
    assert answer == {"type": "subscribed", "orderId": order_id, "after": 1}


@pytest.mark.parametrize(("text", "pointer"), BAD_FRAMES)
def test_nonsense_is_answered_by_an_error_frame_and_the_connection_stays(
    gateway: Gateway, text: str, pointer: str
) -> None:
    gateway.connect()
    answer = gateway.say(text)
    assert answer["type"] == "error"
    assert pointer in [error["pointer"] for error in answer["errors"]]
    assert gateway.say({"action": "ping"})["type"] == "pong"
    assert not gateway.orders.stored


def test_a_binary_frame_is_refused(gateway: Gateway) -> None:
    gateway.connect()
    assert "binary" in gateway.say("AAAA", isBase64Encoded=True)["message"]


def test_a_bug_behind_a_frame_is_an_error_frame_too(gateway: Gateway) -> None:
    async def break_down(*_: object) -> None:
        raise KeyError("bug")

    gateway.connect()
    gateway.orders.sequences = break_down  # type: ignore[method-assign,assignment]
    answer = gateway.say({"action": "ping"})
    assert (answer["code"], answer["requestId"]) == ("INTERNAL", "request")
    assert "bug" not in answer["message"]


def test_with_the_table_down_the_client_is_told_to_try_again(gateway: Gateway) -> None:
    async def away(*_: object) -> None:
        raise Unavailable("DynamoDB")

    gateway.connect()
    gateway.orders.add = away  # type: ignore[method-assign,assignment]
    answer = gateway.say({"action": "submit", "order": ORDER})
    assert (answer["code"], answer["retryable"]) == ("SERVICE_UNAVAILABLE", True)
    gateway.connections.add = away  # type: ignore[method-assign,assignment]
    assert gateway.connect() == 503


def test_who_leaves_is_forgotten(gateway: Gateway) -> None:
    gateway.connect()
    gateway.say({"action": "submit", "order": ORDER})
    assert gateway.disconnect() == 200
    assert not gateway.connections.connections


def test_the_same_client_order_id_is_the_same_order(gateway: Gateway) -> None:
    gateway.connect()
    first = gateway.say({"action": "submit", "order": ORDER | {"clientOrderId": "mine"}})
    again = gateway.say({"action": "submit", "order": ORDER | {"clientOrderId": "mine"}})
    other = gateway.say({"action": "submit", "order": ORDER | {"clientOrderId": "mine", "amount": 2}})
    assert again == first
    assert other["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert len(gateway.orders.stored) == 1


def test_an_order_is_refused_where_it_could_not_be_watched(gateway: Gateway) -> None:
    gateway.connect()
    for number in range(MAX_SUBSCRIPTIONS):
        key = (f"order-{number}", "socket")
        gateway.connections.subscriptions[key] = Subscription(*key, NOON)
    assert gateway.say({"action": "submit", "order": ORDER})["code"] == "TOO_MANY_SUBSCRIPTIONS"
    assert not gateway.orders.stored


def test_an_accepted_order_is_answered_as_such_even_when_it_cannot_be_watched(gateway: Gateway) -> None:
    gateway.connect()
    gateway.statuses.is_away = True
    answer = gateway.say({"action": "submit", "order": ORDER})
    assert (answer["status"], answer["orderId"]) == ("pending", *gateway.orders.stored)
    assert gateway.connect(**ORDER) == 200


def test_an_error_frame_stays_small_whatever_the_client_has_made_up(gateway: Gateway) -> None:
    gateway.connect()
    made_up = {"action": "ping"} | {"€" * 40 + str(number): 1 for number in range(100)}
    answer = gateway.say(json.dumps(made_up, ensure_ascii=False))
    assert answer["code"] == "VALIDATION_FAILED"
    assert len(json.dumps(answer, ensure_ascii=False).encode()) < 32_768


def test_an_order_that_comes_over_a_socket_is_counted_in_its_invocation(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.say({"action": "ping"})
    gateway.say({"action": "submit", "order": ORDER})
    (line,) = (json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"'))
    assert line["OrdersAccepted"] == [1]
