"""The dashboard as a visitor has it: opened, used and read; and what the API says of the same."""

from __future__ import annotations

import re
from typing import Any, Literal

from playwright.sync_api import ConsoleMessage, Locator, Page, Request, Route, WebSocket, expect

from local.stack import Stack
from order_engine.service.accept_order import PUBLIC, order_id_under
from tests.browser.api import Json, get
from tests.e2e.clients import inject

View = Literal["live-orders", "history", "engine"]

PATIENCE_MS = 30_000

# Statuses may follow each other faster than a test can look, so the page notes them down.
_NOTE_STATUSES = """
  window.statuses = {};
  const note = ({ dataset: { orderId, status } }) => {
    const seen = (window.statuses[orderId] ??= []);
    if (seen.at(-1) !== status) seen.push(status);
  };
  new MutationObserver((changes) => {
    for (const { target, addedNodes } of changes) {
      for (const node of [target, ...addedNodes]) if (node.matches?.(".card")) note(node);
    }
  }).observe(document, { subtree: true, childList: true, attributeFilter: ["data-status"] });
"""


class Dashboard:
    """`complaints` are the console's warnings and errors, what broke, and requests for anything but the stack."""

    def __init__(self, page: Page, stack: Stack) -> None:
        self.page = page
        self.stack = stack
        self.complaints: list[str] = []
        self.frames: list[str] = []
        """Everything that came over its WebSockets, as text."""
        # On a busy machine the venues may be too slow for a live quote, as the page then says.
        self._expected = ["status of 503 .*/api/quotes"]
        page.set_default_timeout(PATIENCE_MS)
        page.add_init_script(_NOTE_STATUSES)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self._complain(f"page error: {error}"))
        page.on("request", self._check_request)
        page.on("websocket", self._follow)

    def open(self, view: View = "live-orders", filters: str = "", **settings: float) -> None:
        """Until it is ready and live. `settings` are those of assets/settings.js."""
        query = "&".join(f"{name}={value}" for name, value in settings.items())
        self.page.goto(f"{self.stack.endpoints.http}/?{query}#{view}{filters and '?'}{filters}")
        expect(self.page.locator("html")).to_have_attribute("data-ready", "true", timeout=PATIENCE_MS)
        expect(self.page.locator("#connection-state")).to_have_text("Live", timeout=PATIENCE_MS)

    def tolerate(self, complaint: str) -> None:
        """A pattern of what a test provokes: a browser reports every answer that is no success."""
        self._expected.append(complaint)

    def fill(self, **fields: str) -> None:
        """Fields of the ticket, by their ids."""
        for name, value in fields.items():
            if name in {"tokenIn", "tokenOut", "type"}:
                self.page.select_option(f"#{name}", value)
                continue
            if not self.page.locator(f"#{name}").is_visible():
                self.page.click("#advanced summary")
            self.page.fill(f"#{name}", value)

    def place(self, *, faults: dict[str, tuple[str, int]] | None = None, delay_ms: int = 0, **fields: str) -> str:
        """Places an order with the ticket. At points of execute_order, `faults` happen to this order only."""
        self.fill(**fields)
        points = {f"execute_order.{point}": fault for point, fault in (faults or {}).items()}

        def prepare(route: Route) -> None:
            if route.request.method == "POST":
                key = route.request.header_value("Idempotency-Key") or ""
                order_id = order_id_under(fields.get("userId") or PUBLIC, key)
                inject(self.stack, order_id, points, milliseconds=delay_ms)
            route.fallback()

        if points:
            self.page.route("**/api/orders", prepare)
        with self.page.expect_response(lambda answer: is_submission(answer.request)) as answer:
            self.page.click("#submit")
        if points:
            self.page.unroute("**/api/orders", prepare)
        return str(answer.value.json()["orderId"])

    def card(self, order_id: str) -> Locator:
        return self.page.locator(f'.card[data-order-id="{order_id}"]')

    def ends(self, order_id: str, status: str) -> Locator:
        """The order's card, once it has ended like this."""
        card = self.card(order_id)
        expect(card).to_have_attribute("data-status", status, timeout=PATIENCE_MS)
        return card

    def statuses(self, order_id: str) -> list[str]:
        """Those that the order's card has had, in turn."""
        seen: list[str] = self.page.evaluate("orderId => window.statuses[orderId] ?? []", order_id)
        return seen

    def get(self, path: str, **parameters: Any) -> Json:
        """What the API itself answers."""
        return get(self.stack, path, **parameters)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning", "assert"}:
            self._complain(f"console {message.type}: {message.text} ({message.location.get('url')})")

    def _complain(self, complaint: str) -> None:
        if not any(re.search(pattern, complaint) for pattern in self._expected):
            self.complaints.append(complaint)

    def _check_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.stack.endpoints.http}/", "data:", "blob:")):
            self._complain(f"request for {request.url}")

    def _follow(self, socket: WebSocket) -> None:
        if socket.url != self.stack.endpoints.ws:
            self._complain(f"WebSocket to {socket.url}")
        socket.on("framereceived", lambda frame: self.frames.append(str(frame)))


def is_submission(request: Request) -> bool:
    return request.method == "POST" and request.url.endswith("/api/orders")
