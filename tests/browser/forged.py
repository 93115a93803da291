"""An engine made up for the page: its lists and its WebSocket say what a test wants, at the pace that it wants."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, Route, WebSocketRoute

from tests.browser.api import Json
from tests.browser.dashboard import Dashboard

ENDINGS = {"confirmed", "failed", "expired"}


class ForgedEngine:
    """Answers for orders in the place of the stack's; the rest of the stack is as it is.

    Orders are in `orders`, the newest last, as the API gives one with its events.
    """

    def __init__(self, dashboard: Dashboard) -> None:
        self.orders: dict[str, Json] = {}
        self._watching: dict[str, WebSocketRoute] = {}
        page: Page = dashboard.page
        page.route("**/api/orders?*", self._list)
        page.route("**/api/orders/*", self._one)
        page.route_web_socket(dashboard.stack.endpoints.ws, self._serve)

    def add(self, order: Json) -> None:
        self.orders[order["orderId"]] = order

    def tell(self, event: Json) -> None:
        """Something has happened to an order: whoever watches it hears of it."""
        order_id = event["orderId"]
        order = self.orders[order_id]
        order["events"].append(event)
        order |= {"status": event["status"], "sequence": event["sequence"], "updatedAt": event["timestamp"]}
        if socket := self._watching.get(order_id):
            socket.send(json.dumps(event))

    def _list(self, route: Route) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        status = query.get("status", [None])[0]
        begin, limit = int(query.get("cursor", ["0"])[0]), int(query["limit"][0])
        listed = [order for order in reversed(self.orders.values()) if status in (None, order["status"])]
        page = [{name: value for name, value in order.items() if name != "events"} for order in listed[begin:][:limit]]
        more = str(begin + limit) if len(listed) > begin + limit else None
        route.fulfill(json={"orders": page, "nextCursor": more})

    def _one(self, route: Route) -> None:
        order = self.orders.get(urlsplit(route.request.url).path.rpartition("/")[2])
        route.fulfill(json=order) if order else route.fulfill(status=404, json={"status": 404, "detail": "Unknown"})

    def _serve(self, socket: WebSocketRoute) -> None:
        def answer(message: str | bytes) -> None:
            frame = json.loads(message)
            order_id = frame.get("orderId")
            match frame["action"]:
                case "subscribe" if order_id in self.orders:
                    self._watching[order_id] = socket
                    socket.send(json.dumps({"type": "subscribed", "orderId": order_id, "after": frame["after"]}))
                    _send(socket, self.orders[order_id]["events"][frame["after"] :])
                case "unsubscribe":
                    self._watching.pop(order_id, None)
                case "ping":
                    sequences = {order_id: self.orders[order_id]["sequence"] for order_id in self._watching}
                    socket.send(json.dumps({"type": "pong", "timestamp": "", "sequences": sequences}))

        socket.on_message(answer)


def beginning(order: Json) -> Json:
    """The order as it was after its first event."""
    told_later = {name for event in order["events"][1:] for name in event} - set(order["events"][0]) - {"slippageBps"}
    first = order["events"][0]
    return {name: value for name, value in order.items() if name not in told_later} | {
        "status": first["status"],
        "sequence": 1,
        "updatedAt": first["timestamp"],
        "attempts": 0,
        "events": [first],
    }


def renamed(value: Any, old: str, new: str) -> Any:
    """The same, of another order."""
    return json.loads(json.dumps(value).replace(old, new))


def _send(socket: WebSocketRoute, events: Iterable[Json]) -> None:
    for event in events:
        socket.send(json.dumps(event))
