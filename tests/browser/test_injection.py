"""What others write is shown as what it is, text, and nothing of it ever runs."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from tests.browser.api import Json, submit
from tests.browser.dashboard import PATIENCE_MS, Dashboard
from tests.browser.forged import ForgedEngine

ATTACKS = [
    '<img src=x onerror="window.broken = 1">',
    '"><script>window.broken = 2</script>',
    "javascript:window.broken=3//",
    "'><svg/onload=window.broken=4><a href='javascript:window.broken=5'>",
]

TIME = "2026-11-21T10:00:00.000Z"


def test_text_of_a_client_is_shown_as_text_wherever_it_is_shown(dashboard: Dashboard) -> None:
    page = dashboard.page
    user = ATTACKS[0] + ATTACKS[1]
    order_id = submit(
        dashboard.stack,
        tokenIn="SOL",
        tokenOut="USDC",
        amount="1",
        userId=user,
        clientOrderId=ATTACKS[3] + str(uuid4()),
    )
    dashboard.open()
    card = dashboard.ends(order_id, "confirmed")
    expect(card).to_contain_text(user)
    card.get_by_role("button", name="Details").click()
    expect(page.locator("#detail .facts").first).to_contain_text(user)
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="History").click()
    with page.expect_response(lambda answer: "userId=" in answer.url):
        page.fill("#filter-userId", user)
    expect(page.locator("#history-status")).to_have_text(re.compile(r"^\d orders?$"))
    assert_nothing_ran(dashboard)
    page.reload()
    expect(page.locator("#filter-userId")).to_have_value(user)
    assert_nothing_ran(dashboard)


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_engine_that_was_taken_over_cannot_run_anything_in_the_page(dashboard: Dashboard, attack: str) -> None:
    """Every text of every answer and of every frame is the attack, with the field's name to find it by."""
    page = dashboard.page
    forged = ForgedEngine(dashboard)
    order_id = str(uuid4())

    def text(field: str) -> str:
        return f"{attack}{field}"

    config = {
        "webSocketUrl": dashboard.stack.endpoints.ws,
        "tokens": [{"symbol": text("one"), "decimals": 9}, {"symbol": text("other"), "decimals": 6}],
        "venues": [text("venue")],
        "orderTypes": [text("type")],
        "defaultSlippageBps": 100,
        "maxAttempts": 3,
    }
    problem = {"status": 422, "code": text("code"), "detail": text("detail"), "retryable": False, "errors": []}
    stats = dashboard.get("/api/stats") | {
        "failures": [{"errorCode": text("errorCode"), "count": 1}],
        "unavailable": [text("unavailable")],
    }
    page.route("**/api/config", lambda route: route.fulfill(json=config))
    page.route("**/api/quotes", lambda route: route.fulfill(status=422, json=problem))
    page.route("**/api/stats", lambda route: route.fulfill(json=stats))
    dashboard.tolerate("status of 422")
    order = forged_order(order_id, text)
    forged.add(order | {"events": order["events"][:1], "status": "pending", "sequence": 1})
    dashboard.open()
    card = dashboard.card(order_id)
    expect(card).to_be_visible()
    for event in order["events"][1:]:
        forged.tell(event)
        expect(card).to_have_attribute("data-status", event["status"])
    for field in ("reason", "error", "errorCode", "userId", "dex", "one", "other"):
        expect(card).to_contain_text(text(field))
    expect(page.locator("#quote-error")).to_contain_text(text("code"))
    expect(page.locator("#tokenIn option").first).to_have_text(text("one"))
    card.get_by_role("button", name="Details").click()
    trail = page.locator("#detail")
    for field in ("message", "reason", "signature", "txHash", "error", "userId"):
        expect(trail).to_contain_text(text(field))
    page.keyboard.press("Escape")
    assert_nothing_ran(dashboard)

    page.get_by_role("tab", name="History").click()
    expect(page.locator("#rows")).to_contain_text(text("dex"))
    page.get_by_role("tab", name="Engine").click()
    expect(page.locator(".ranking")).to_contain_text(text("errorCode"), timeout=PATIENCE_MS)
    expect(page.locator("#engine-error")).to_contain_text(text("unavailable"))
    assert_nothing_ran(dashboard)


def test_the_page_is_held_to_its_own_files_by_a_header_and_runs_nothing_else(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.tolerate("Content Security Policy|Content-Security-Policy")
    with page.expect_response(lambda answer: answer.url.split("?")[0].endswith("/httpapi/")) as answer:
        dashboard.open()
    policy = dict(part.split(" ", 1) for part in answer.value.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"] == f"'self' {dashboard.stack.endpoints.ws.split('/_aws')[0]}"
    refused = page.evaluate(
        """async () => {
          const refused = [];
          document.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
          const script = document.createElement("script");
          script.textContent = "window.broken = 1";
          const image = document.createElement("div");
          image.innerHTML = '<img src="data:," onerror="window.broken = 2">';
          document.body.append(script, image);
          await fetch("http://127.0.0.1:9/", { mode: "no-cors" }).catch(() => {});
          // A timer is the page's own; whoever is asked by a debugger may do more.
          await new Promise((resolve) => setTimeout(() => {
            try { (0, eval)("window.broken = 3"); } catch { refused.push("eval"); }
            setTimeout(resolve, 50);
          }, 100));
          image.remove();
          script.remove();
          return refused;
        }"""
    )
    assert set(refused) == {"script-src-elem", "script-src-attr", "connect-src", "script-src", "eval"}
    assert_nothing_ran(dashboard)


def assert_nothing_ran(dashboard: Dashboard) -> None:
    page = dashboard.page
    assert page.evaluate("window.broken ?? null") is None
    assert page.locator("img").count() == 1
    assert page.locator("script").count() == 2
    assert page.locator("iframe, object, embed, a[href^='javascript' i], base, form[action]").count() == 0
    assert (
        page.evaluate(
            "[...document.all].flatMap((node) => node.getAttributeNames()).filter((name) => name.startsWith('on'))"
        )
        == []
    )


def forged_order(order_id: str, text: Any) -> Json:
    """Tried twice, and with every field that any event has."""
    common = {"orderId": order_id, "timestamp": TIME, "attempt": 1, "message": text("message")}
    quote = {
        "dex": text("dex"),
        "amountIn": "1",
        "amountOut": "2",
        "fee": text("fee"),
        "priceImpactBps": text("impact"),
    }
    silent = {"dex": text("silent"), "error": text("error"), "errorCode": text("errorCode")}
    leg = quote | {"pool": text("pool"), "tokenIn": text("one"), "tokenOut": text("other")}
    building = {"dex": text("dex"), "reason": text("reason"), "route": [leg], "quotes": [quote, silent], "quote": quote}
    failure = {"error": text("error"), "errorCode": text("errorCode"), "retryAt": TIME, "lastErrorCode": text("last")}
    fees = {"venues": [{"amount": "1", "token": text("one")}], "network": {"amount": "1", "token": text("other")}}
    fill = {"amountIn": "1", "amountOut": "2", "executedPrice": "2", "priceImprovementBps": "1", "slippageBps": "1"}
    story: list[Json] = [
        {"status": "pending", "progress": 10},
        {"status": "routing", "progress": 25},
        {"status": "building", "progress": 50} | building,
        {"status": "submitted", "progress": 75, "signature": text("signature")},
        {"status": "pending", "progress": 10} | failure,
        {"status": "routing", "progress": 25},
        {"status": "building", "progress": 50} | building,
        {"status": "submitted", "progress": 75, "signature": text("signature"), "minAmountOut": "1"},
        {"status": "confirmed", "progress": 100, "txHash": text("txHash"), "fees": fees, "route": [leg]} | fill | quote,
    ]
    return {
        "orderId": order_id,
        "type": text("type"),
        "status": "confirmed",
        "userId": text("userId"),
        "clientOrderId": text("clientOrderId"),
        "tokenIn": text("one"),
        "tokenOut": text("other"),
        "swapMode": "exactIn",
        "amount": "1",
        "slippageBps": 100,
        "attempts": 2,
        "sequence": len(story),
        "createdAt": TIME,
        "updatedAt": TIME,
        "dex": text("dex"),
        "error": text("error"),
        "errorCode": text("errorCode"),
        "txHash": text("txHash"),
        "events": [common | event | {"sequence": sequence} for sequence, event in enumerate(story, 1)],
    }
