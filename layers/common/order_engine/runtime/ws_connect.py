"""Composition root of ws_connect: what clients say over the WebSocket, and the answers."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from order_engine.adapters.aws import client
from order_engine.adapters.dynamodb import DynamoConnections, DynamoOrders
from order_engine.adapters.sqs import SqsOrderQueue, SqsStatusQueue
from order_engine.adapters.system import SystemClock, SystemRandomness
from order_engine.adapters.websocket import ApiGatewaySockets
from order_engine.contracts.frames import (
    FollowUser,
    Ping,
    Submit,
    Subscribe,
    Unsubscribe,
    accepted_frame,
    error_frame,
    parse_connect,
    parse_frame,
)
from order_engine.contracts.problems import FieldError, ValidationProblem
from order_engine.domain.errors import ConnectionGone, EngineError, Unavailable
from order_engine.domain.events import timestamp
from order_engine.runtime.faults import fault_plan
from order_engine.runtime.metrics import EmfMetrics
from order_engine.runtime.settings import Settings
from order_engine.runtime.telemetry import configure_logging, log_about, log_also_about
from order_engine.runtime.tracing import traced
from order_engine.service.accept_order import AcceptOrder
from order_engine.service.follow_orders import FollowOrders
from order_engine.service.ports import Clock, Frame, Metric, Sockets, StatusQueue

logger = logging.getLogger(__name__)

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SocketApi:
    accept: AcceptOrder
    follow: FollowOrders
    statuses: StatusQueue
    sockets: Sockets
    clock: Clock
    metrics: EmfMetrics

    async def handle(self, event: Event) -> dict[str, int]:
        """One event of the WebSocket API in, the status for the gateway out; answers go through the connection."""
        with self.metrics.invocation(), traced("frame"):
            return await self._handle(event)

    async def _handle(self, event: Event) -> dict[str, int]:
        context = event["requestContext"]
        connection_id = context["connectionId"]
        log_about(connection_id=connection_id, request_id=context["requestId"])
        try:
            match context["eventType"]:
                case "CONNECT":
                    await self._connect(connection_id, event.get("queryStringParameters") or {}, context["requestId"])
                case "DISCONNECT":
                    await self.follow.disconnect(connection_id)
                case _:
                    await self._answer(connection_id, event, context["requestId"])
        except ConnectionGone:
            self.metrics.add(Metric.CONNECTIONS_GONE)
            await self.follow.disconnect(connection_id)
        except Unavailable as error:
            logger.warning("request failed", extra={"error": str(error)})
            return {"statusCode": 503}
        return {"statusCode": 200}

    async def _connect(self, connection_id: str, parameters: Mapping[str, str], request_id: str) -> None:
        """A connection that is being opened cannot be posted to: what there is to say waits in the status queue."""
        try:
            wish = parse_connect(parameters)
        except ValidationProblem as problem:
            await self.follow.connect(connection_id)
            await self.statuses.send_frame(Frame(connection_id, error_frame(problem, request_id=request_id)))
            return
        await self.follow.connect(connection_id, user_id=wish.user_id if isinstance(wish, FollowUser) else None)
        match wish:
            case Subscribe():
                log_also_about(order_id=str(wish.order_id))
                await self.follow.watch(connection_id, str(wish.order_id), after=wish.after)
            case Submit():
                await self._submit_while_connecting(connection_id, wish, request_id)

    async def _submit_while_connecting(self, connection_id: str, wish: Submit, request_id: str) -> None:
        try:
            order = await self.accept(wish.request)
        except EngineError as error:
            await self.statuses.send_frame(Frame(connection_id, error_frame(error, request_id=request_id)))
        else:
            log_also_about(order_id=order.order_id)
            await self.follow.watch_accepted(connection_id, order.order_id)

    async def _answer(self, connection_id: str, event: Event, request_id: str) -> None:
        try:
            reply = await self._reply(connection_id, event)
        except EngineError as error:
            reply = error_frame(error, request_id=request_id)
        except Exception:  # the outermost edge: whatever a frame breaks, the connection stays
            logger.exception("frame failed")
            reply = error_frame(EngineError("Something went wrong on our side"), request_id=request_id)
        await self.sockets.post(connection_id, reply)

    async def _reply(self, connection_id: str, event: Event) -> Mapping[str, object]:
        if event.get("isBase64Encoded"):
            raise ValidationProblem(FieldError(pointer="#", detail="a frame is JSON text, not binary"))
        match parse_frame(event.get("body") or ""):
            case Subscribe(order_id=order_id, after=after):
                log_also_about(order_id=str(order_id))
                await self.follow.subscribe(connection_id, str(order_id), after=after)
                return {"type": "subscribed", "orderId": str(order_id), "after": after}
            case Unsubscribe(order_id=order_id):
                log_also_about(order_id=str(order_id))
                await self.follow.unsubscribe(connection_id, str(order_id))
                return {"type": "unsubscribed", "orderId": str(order_id)}
            case Submit(request=request):
                await self.follow.check_room(connection_id)
                order = await self.accept(request)
                log_also_about(order_id=order.order_id)
                await self.follow.watch_accepted(connection_id, order.order_id)
                return accepted_frame(order.events[0])
            case Ping():
                sequences = await self.follow.high_water(connection_id)
                return {"type": "pong", "timestamp": timestamp(self.clock.now()), "sequences": sequences}


def compose(variables: Mapping[str, str] = os.environ) -> SocketApi:
    configure_logging(variables)
    settings, metrics = Settings(variables), EmfMetrics.of(variables)
    dynamodb, sqs, table = client("dynamodb"), client("sqs"), settings.text("ORDERS_TABLE")
    management = client("apigatewaymanagementapi", endpoint_url=settings.text("WEBSOCKET_ENDPOINT"))
    clock, randomness = SystemClock(), SystemRandomness()
    faults = fault_plan("ws_connect", settings, dynamodb)
    orders = faults.wrap("orders", DynamoOrders(dynamodb, table))
    statuses = faults.wrap("statuses", SqsStatusQueue(sqs, settings.text("STATUS_QUEUE_URL"), randomness))
    queue = faults.wrap("queue", SqsOrderQueue(sqs, settings.text("ORDER_QUEUE_URL"), randomness))
    connections = faults.wrap("connections", DynamoConnections(dynamodb, table))
    return SocketApi(
        accept=AcceptOrder(
            orders=orders, queue=queue, statuses=statuses, clock=clock, randomness=randomness, metrics=metrics
        ),
        follow=FollowOrders(connections=connections, orders=orders, statuses=statuses, clock=clock),
        statuses=statuses,
        sockets=faults.wrap("sockets", ApiGatewaySockets(management)),
        clock=clock,
        metrics=metrics,
    )
