"""The order queue and the status queue, and the bodies of their messages."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from order_engine.adapters import items
from order_engine.adapters.aws import call
from order_engine.domain.errors import Unavailable
from order_engine.domain.events import Event
from order_engine.domain.orders import Order
from order_engine.domain.statistics import QueueDepth
from order_engine.service.ports import Frame, OrderMessage, Randomness, Replay, StatusMessage

DEPENDENCY = "SQS"

_LONGEST_NAME = 128
"""Of an order, a connection, a user or a token. DynamoDB would refuse a much longer key."""

logger = logging.getLogger(__name__)

Record = Mapping[str, Any]
Value = TypeVar("Value")


class NotUnderstood(ValueError):
    """A message that none of our functions has sent: no other receive will make more of it."""


@dataclass(frozen=True, slots=True)
class SqsOrderQueue:
    """`OrderQueue` on a standard queue."""

    client: Any
    url: str
    randomness: Randomness

    async def send(
        self,
        order_id: str,
        *,
        accepted: Order | None = None,
        delay_seconds: int = 0,
        deferrals: int = 0,
        record_only: bool = False,
    ) -> None:
        body: dict[str, object] = {
            "orderId": order_id,
            "token": self.randomness.token(),
            "deferrals": deferrals,
            "recordOnly": record_only,
        }
        if accepted is not None:
            body["accepted"] = items.acceptance(accepted)
        parameters: dict[str, Any] = {"DelaySeconds": delay_seconds} if delay_seconds else {}
        await call(DEPENDENCY, self.client.send_message, QueueUrl=self.url, MessageBody=_json(body), **parameters)


def order_message(record: Record) -> OrderMessage:
    """An order message from a record of a Lambda event. Raises `NotUnderstood` for a body that is none."""
    body, attributes = _body(record), record["attributes"]
    return OrderMessage(
        order_id=_name(body, "orderId"),
        token=_name(body, "token"),
        message_id=record["messageId"],
        sent_at=datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC),
        receive_count=int(attributes["ApproximateReceiveCount"]),
        deferrals=_field({"deferrals": 0} | body, "deferrals", int),
        record_only=_field({"recordOnly": False} | body, "recordOnly", bool),
        accepted=_accepted(body),
    )


@dataclass(frozen=True, slots=True)
class SqsQueueGauge:
    """`QueueGauge` of any queue."""

    client: Any
    url: str

    async def depth(self) -> QueueDepth:
        names = ("", "NotVisible", "Delayed")
        wanted = [f"ApproximateNumberOfMessages{name}" for name in names]
        answer = await call(DEPENDENCY, self.client.get_queue_attributes, QueueUrl=self.url, AttributeNames=wanted)
        return QueueDepth(*(int(answer["Attributes"][name]) for name in wanted))


@dataclass(frozen=True, slots=True)
class SqsStatusQueue:
    """`StatusQueue` on a FIFO queue: one group an order, so that an order's messages keep their order."""

    client: Any
    url: str
    randomness: Randomness

    async def publish(self, order: Order, events: Sequence[Event]) -> None:
        body = {"kind": "events", "orderId": order.order_id, "userId": order.request.user_id, "events": events}
        await self._send(body, group=order.order_id, deduplication=f"{order.order_id}:{events[-1]['sequence']}")

    async def request_replay(self, replay: Replay) -> None:
        body = {
            "kind": "replay",
            "orderId": replay.order_id,
            "connectionId": replay.connection_id,
            "after": replay.after,
            "tries": replay.tries,
        }
        await self._send(body, group=replay.order_id, deduplication=self.randomness.token())

    async def send_frame(self, frame: Frame) -> None:
        body = {"kind": "frame", "connectionId": frame.connection_id, "body": frame.body, "tries": frame.tries}
        await self._send(body, group=frame.connection_id, deduplication=self.randomness.token())

    async def _send(self, body: Mapping[str, object], *, group: str, deduplication: str) -> None:
        await call(
            DEPENDENCY,
            self.client.send_message,
            QueueUrl=self.url,
            MessageBody=_json(body),
            MessageGroupId=group,
            MessageDeduplicationId=deduplication,
        )


def status_message(record: Record) -> StatusMessage | Replay | Frame:
    """What a record of the status queue says. Raises `NotUnderstood` for a body that is none of the three."""
    body = _body(record)
    match body.get("kind"):
        case "events":
            events = _field(body, "events", list)
            if not events or not all(isinstance(event, dict) for event in events):
                raise NotUnderstood("events of a message are one object or more")
            for event in events:
                _field(event, "sequence", int)
            user_id = None if body.get("userId") is None else _name(body, "userId")
            return StatusMessage(_name(body, "orderId"), user_id, tuple(events))
        case "replay":
            after, tries = _field(body, "after", int), _field(body, "tries", int)
            return Replay(_name(body, "orderId"), _name(body, "connectionId"), after, tries)
        case "frame":
            return Frame(_name(body, "connectionId"), _field(body, "body", dict), _field(body, "tries", int))
    raise NotUnderstood("a status message is events, a replay or a frame")


async def come_again(client: Any, url: str, record: Record, *, after_seconds: int) -> None:
    """Have a message that its function reports as failed received again then, or, if it was received too often, moved
    to the dead-letter queue. Should this fail, the same happens when its visibility timeout ends.
    """
    try:
        await call(
            DEPENDENCY,
            client.change_message_visibility,
            QueueUrl=url,
            ReceiptHandle=record["receiptHandle"],
            VisibilityTimeout=after_seconds,
        )
    except Unavailable:
        logger.warning("visibility unchanged", extra={"message_id": record["messageId"]})


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _body(record: Record) -> dict[str, Any]:
    try:
        body = json.loads(record["body"])
        # A lone surrogate ("\ud800") is valid JSON syntax, but no text: nothing could store or send it.
        _json(body).encode()
    except RecursionError:
        raise NotUnderstood("a message is not nested that deeply") from None
    except ValueError as error:
        raise NotUnderstood("a message is JSON text") from error
    if not isinstance(body, dict):
        raise NotUnderstood("a message is a JSON object")
    return body


def _accepted(body: Mapping[str, Any]) -> Order | None:
    """None also when another version of this function has written it: the order can be read from the table."""
    try:
        return items.accepted_order(body["orderId"], body["accepted"])
    except (LookupError, TypeError, ValueError, AttributeError):
        return None


def _field(body: Mapping[str, Any], name: str, kind: type[Value]) -> Value:
    value = body.get(name)
    # To Python, True is an int as well.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise NotUnderstood(f"{name} of a message is of type {kind.__name__}")
    return value


def _name(body: Mapping[str, Any], name: str) -> str:
    value = _field(body, name, str)
    if not 1 <= len(value) <= _LONGEST_NAME:
        raise NotUnderstood(f"{name} of a message has 1 to {_LONGEST_NAME} characters")
    return value
