"""The order queue and the status queue, and the bodies of their messages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from order_engine.adapters.aws import call
from order_engine.domain.events import Event
from order_engine.domain.orders import Order
from order_engine.service.execute_order import OrderMessage
from order_engine.service.ports import Frame, Randomness, Replay, StatusMessage

DEPENDENCY = "SQS"


@dataclass(frozen=True, slots=True)
class SqsOrderQueue:
    """`OrderQueue` on a standard queue."""

    client: Any
    url: str
    randomness: Randomness

    async def send(
        self, order_id: str, *, delay_seconds: int = 0, deferrals: int = 0, record_only: bool = False
    ) -> None:
        body = {
            "orderId": order_id,
            "token": self.randomness.token(),
            "deferrals": deferrals,
            "recordOnly": record_only,
        }
        parameters: dict[str, Any] = {"DelaySeconds": delay_seconds} if delay_seconds else {}
        await call(DEPENDENCY, self.client.send_message, QueueUrl=self.url, MessageBody=_json(body), **parameters)


def order_message(record: Mapping[str, Any]) -> OrderMessage:
    """An order message from a record of a Lambda event. Raises `ValueError` for a body that is none."""
    body, attributes = _body(record), record["attributes"]
    order_id, token = body.get("orderId"), body.get("token")
    if not isinstance(order_id, str) or not isinstance(token, str):
        raise ValueError("an order message has orderId and token")
    return OrderMessage(
        order_id=order_id,
        token=token,
        message_id=record["messageId"],
        sent_at=datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC),
        receive_count=int(attributes["ApproximateReceiveCount"]),
        deferrals=int(body.get("deferrals", 0)),
        record_only=bool(body.get("recordOnly", False)),
    )


@dataclass(frozen=True, slots=True)
class SqsStatusQueue:
    """`StatusQueue` on a FIFO queue: one group an order, so that an order's messages keep their order."""

    client: Any
    url: str
    randomness: Randomness

    async def publish(self, order: Order, events: Sequence[Event]) -> None:
        # One by one: of a batch, a later event may be taken and an earlier one not.
        for event in events:
            body = {"kind": "event", "orderId": order.order_id, "userId": order.request.user_id, "event": event}
            await self._send(body, group=order.order_id, deduplication=f"{order.order_id}:{event['sequence']}")

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


def status_message(record: Mapping[str, Any]) -> StatusMessage | Replay | Frame:
    """What a record of the status queue says. Raises `ValueError` for a body that is none of the three."""
    body = _body(record)
    try:
        match body.get("kind"):
            case "event":
                return StatusMessage(body["orderId"], body["userId"], body["event"])
            case "replay":
                return Replay(body["orderId"], body["connectionId"], int(body["after"]), int(body["tries"]))
            case "frame":
                return Frame(body["connectionId"], body["body"], int(body["tries"]))
    except (KeyError, TypeError) as error:
        raise ValueError("a status message lacks a field") from error
    raise ValueError("a status message is an event, a replay or a frame")


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _body(record: Mapping[str, Any]) -> dict[str, Any]:
    body = json.loads(record["body"])
    if not isinstance(body, dict):
        raise ValueError("a message is a JSON object")
    return body
