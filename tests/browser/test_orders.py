"""Orders that a visitor places and watches: on the page there is what the API knows, whatever happens in between."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, ProxySettings, expect

from tests.browser.api import Json
from tests.browser.conftest import OpenDashboard
from tests.browser.dashboard import PATIENCE_MS, Dashboard
from tests.browser.network import Network
from tests.browser.words import amount, facts_for, sequences_in, words_for, words_on
from tests.e2e.clients import HAPPY_PATH

# Claiming and signing take no time by themselves.
VISIBLY: dict[str, tuple[str, int]] = {"orders.save.routing": ("delay", 1), "orders.save.submitted": ("delay", 1)}
AWAY_MS = 10_000
ORDERS = re.compile(r"/api/orders[/?]")


def test_an_order_goes_from_pending_to_confirmed_in_the_words_of_the_api(dashboard: Dashboard) -> None:
    dashboard.open()
    order_id = dashboard.place(faults=VISIBLY, delay_ms=400, amount="1234.5")
    card = dashboard.ends(order_id, "confirmed")
    assert dashboard.statuses(order_id) == HAPPY_PATH
    order = dashboard.get(f"/api/orders/{order_id}")
    assert_says(card, order)
    assert words_on(card)["facts"].items() >= facts_for(order).items()
    expect(dashboard.page.locator("#announcer")).to_contain_text(f"confirmed, {amount(order['amountOut'])} USDC")


def test_an_order_fails_with_its_reason_and_every_attempt_and_is_in_the_history(dashboard: Dashboard) -> None:
    # Of the live quote, as there is no way from JUP to BONK.
    dashboard.tolerate("status of 422 .*/api/quotes")
    dashboard.open()
    confirmed = dashboard.place(amount="2")
    expect(dashboard.page.locator("#submit")).to_have_attribute("aria-disabled", "false")
    exhausted = dashboard.place(faults={"chain.send": ("revert", 3)}, amount="3")
    expect(dashboard.page.locator("#submit")).to_have_attribute("aria-disabled", "false")
    impossible = dashboard.place(tokenIn="JUP", tokenOut="BONK", amount="1")
    dashboard.ends(confirmed, "confirmed")

    card = dashboard.ends(exhausted, "failed")
    order = dashboard.get(f"/api/orders/{exhausted}")
    assert_says(card, order)
    assert order["attempts"] == 3
    for number, (text, event) in enumerate(
        zip(words_on(card)["attempts"], [event for event in order["events"] if "errorCode" in event], strict=True), 1
    ):
        assert text.startswith(f"Attempt {number}")
        assert event["error"] in text
        assert event["errorCode"] in text

    card = dashboard.ends(impossible, "failed")
    expect(card.locator(".attempts")).to_contain_text("NO_ROUTE_FOUND")
    assert_says(card, dashboard.get(f"/api/orders/{impossible}"))

    dashboard.page.get_by_role("tab", name="History").click()
    for order_id, status in ((confirmed, "confirmed"), (exhausted, "failed"), (impossible, "failed")):
        expect(dashboard.page.locator(f'#rows [data-order-id="{order_id}"] .status')).to_have_text(status)


def test_after_a_reload_in_its_middle_an_order_is_there_again_and_goes_on_to_its_end(dashboard: Dashboard) -> None:
    dashboard.open()
    order_id = dashboard.place(faults={"chain.send": ("revert", 1)}, amount="4")
    expect(dashboard.card(order_id)).to_have_attribute("data-status", "submitted", timeout=PATIENCE_MS)
    dashboard.frames.clear()
    dashboard.page.reload()
    expect(dashboard.card(order_id)).to_have_attribute("data-own", "true")
    card = dashboard.ends(order_id, "confirmed")
    order = dashboard.get(f"/api/orders/{order_id}")
    assert_says(card, order)
    assert_complete(dashboard.frames, order)


def test_with_the_network_away_the_page_says_so_comes_back_by_itself_and_has_missed_nothing(
    new_dashboard: OpenDashboard,
) -> None:
    network = Network()
    with network.serving():
        # Chromium goes past its proxy to this machine unless told not to.
        dashboard = new_dashboard(proxy=ProxySettings(server=network.url, bypass="<-loopback>"))
        dashboard.tolerate(
            "status of 503|ERR_INTERNET_DISCONNECTED|ERR_NETWORK_CHANGED|WebSocket (connection|is closed)"
        )
        page = dashboard.page
        state = page.locator("#connection-state")
        dashboard.open(pongSeconds=1, maxBackoffSeconds=4, discoverySeconds=0.5)
        order_id = dashboard.place(faults={"chain.send": ("revert", 2)}, amount="5")
        expect(dashboard.card(order_id)).to_have_attribute("data-status", re.compile("building|submitted"))

        network.leave()
        page.context.set_offline(True)
        left = page.evaluate("performance.now()")
        expect(state).to_have_text("Reconnecting", timeout=PATIENCE_MS)
        expect(page.locator("#connection-wait")).to_have_text(re.compile(r"in \d s…"))
        expect(dashboard.card(order_id)).not_to_have_attribute("data-status", "confirmed")
        page.wait_for_function("until => performance.now() > until", arg=left + AWAY_MS)
        # The lists stay away for longer: what was missed has one way to come, the WebSocket.
        page.route(ORDERS, lambda route: route.fulfill(status=503, json={"message": "Service Unavailable"}))
        network.come_back()
        page.context.set_offline(False)

        expect(state).to_have_text("Live", timeout=PATIENCE_MS)
        card = dashboard.ends(order_id, "confirmed")
        order = dashboard.get(f"/api/orders/{order_id}")
        assert_says(card, order)
        assert order["attempts"] == 3
        assert_complete(dashboard.frames, order)
        page.unroute_all()
        expect(page.locator("#banner")).to_be_hidden(timeout=PATIENCE_MS)
        page.context.close()


def test_the_detail_of_an_order_is_its_audit_trail_and_goes_on_while_it_lives(dashboard: Dashboard) -> None:
    dashboard.open()
    order_id = dashboard.place(faults={"chain.send": ("revert", 1)}, amount="6")
    dashboard.card(order_id).get_by_role("button", name="Details").click()
    trail = dashboard.page.locator("#detail .trail > li")
    expect(trail.last).to_have_attribute("data-status", "confirmed", timeout=PATIENCE_MS)
    order = dashboard.get(f"/api/orders/{order_id}")
    assert [
        (int(entry["sequence"]), entry["status"], entry["message"]) for entry in trail.evaluate_all(READ_TRAIL)
    ] == [(event["sequence"], event["status"], event["message"]) for event in order["events"]]
    expect(dashboard.page.locator("#detail")).to_contain_text(order["txHash"])


READ_TRAIL = """entries => entries.map((entry) => {
  const [sequence, status, message] = [...entry.firstChild.children].map((part) => part.textContent);
  return { sequence, status, message };
})"""


def assert_complete(frames: list[str], order: Json) -> None:
    """Every event came, in order. Some may have come twice, which is for the page to notice."""
    first_times = list(dict.fromkeys(sequences_in(frames, order["orderId"])))
    assert first_times == [event["sequence"] for event in order["events"]]


def assert_says(card: Locator, order: Json) -> None:
    """What is on the card of an order that has ended is what the API says: each step's time needs all its events."""
    wanted = words_for(order)
    card.page.wait_for_function(
        "([card, took]) => [...card.querySelectorAll('.took')].map((step) => step.textContent).join() === took",
        arg=[card.element_handle(), ",".join(took for _, _, took in wanted["steps"])],
    )
    words = words_on(card)
    words["attempts"] = len(words["attempts"])
    assert {name: words[name] for name in wanted} == wanted
