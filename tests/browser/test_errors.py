"""What is wrong is told beside the field that it is about, and an order is placed once however often it is tried."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Request, Route, expect

from tests.browser.dashboard import PATIENCE_MS, Dashboard, is_submission

LISTS = "**/api/orders?*"
UNKNOWN = "\N{EN DASH}"
COME_BACK = "dispatchEvent(new Event('online'))"


def submissions(dashboard: Dashboard) -> list[Request]:
    """Those of the page, from here on."""
    sent: list[Request] = []
    dashboard.page.on("request", lambda request: sent.append(request) if is_submission(request) else None)
    return sent


def assert_wrong(dashboard: Dashboard, field: str, says: str) -> None:
    page = dashboard.page
    expect(page.locator(f"#{field}-error")).to_have_text(says)
    expect(page.locator(f"#{field}-error")).to_be_visible()
    expect(page.locator(f"#{field}")).to_have_attribute("aria-invalid", "true")
    expect(page.locator(f"#{field}")).to_be_focused()
    assert f"{field}-error" in (page.locator(f"#{field}").get_attribute("aria-describedby") or "").split()


@pytest.mark.parametrize(
    ("amount", "says"),
    [
        ("1.2.3", "must be a decimal number such as 1.5"),
        ("", "is required"),
        ("0.00", "must be greater than zero"),
        ("0.1234567891", "is too fine: SOL has at most 9 decimals"),
    ],
)
def test_a_wrong_amount_is_told_beside_it_and_nothing_is_sent(dashboard: Dashboard, amount: str, says: str) -> None:
    dashboard.open()
    sent = submissions(dashboard)
    dashboard.fill(amount=amount)
    dashboard.page.click("#submit")
    assert_wrong(dashboard, "amount", f"Amount {says}")
    dashboard.fill(amount="1.5")
    expect(dashboard.page.locator("#amount-error")).to_have_text("")
    assert dashboard.page.locator("#amount").get_attribute("aria-invalid") is None
    assert sent == []


def test_choosing_the_other_sides_token_flips_the_pair(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.open()
    page.select_option("#tokenIn", "USDC")
    expect(page.locator("#tokenOut")).to_have_value("SOL")
    page.select_option("#tokenOut", "USDC")
    expect(page.locator("#tokenIn")).to_have_value("SOL")


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("amount", "9" * 30, "Amount "),
        ("limit", "9" * 30, "Least to receive "),
        ("userId", "a\u200bb", "User id must be 1 to 128 printable characters"),
    ],
)
def test_what_the_engine_itself_refuses_is_told_beside_the_field(
    dashboard: Dashboard, field: str, value: str, says: str
) -> None:
    dashboard.tolerate("status of 422")
    dashboard.open()
    dashboard.fill(**{field: value})
    dashboard.page.click("#submit")
    error = dashboard.page.locator(f"#{field}-error")
    expect(error).to_contain_text(says.strip())
    assert_wrong(dashboard, field, error.inner_text())


def test_the_same_token_twice_refused_by_the_engine_is_told_beside_the_token(dashboard: Dashboard) -> None:
    dashboard.tolerate("status of 422")
    dashboard.open()
    errors = [{"pointer": "#/tokenOut", "detail": "must be another token than tokenIn"}]
    problem = {"status": 422, "code": "VALIDATION_FAILED", "detail": "wrong", "retryable": False, "errors": errors}
    dashboard.page.route("**/api/orders", lambda route: route.fulfill(status=422, json=problem))
    dashboard.page.click("#submit")
    assert_wrong(dashboard, "tokenOut", "You receive must be another token than tokenIn")


def test_an_engine_that_is_away_for_a_moment_is_asked_again_for_the_same_order(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.tolerate("status of (503|429)|ERR_FAILED")
    answers: list[Callable[[Route], None]] = [
        lambda route: route.fulfill(
            status=503, json={"status": 503, "code": "AWAY", "detail": "Away", "retryable": True}
        ),
        lambda route: route.fulfill(status=429, json={"message": "Too Many Requests"}),
        lambda route: route.abort(),
    ]
    dashboard.open()
    sent = submissions(dashboard)
    page.route("**/api/orders", lambda route: answers.pop(0)(route) if answers else route.continue_())
    page.click("#submit")
    status = page.locator("#ticket-status")
    expect(status).to_have_text("Away; trying again…")
    expect(status).to_have_text("The engine does not answer; trying again…", timeout=PATIENCE_MS)
    expect(status).to_contain_text("accepted", timeout=PATIENCE_MS)
    assert len(sent) == 4
    assert one_key(sent)
    expect(page.locator('.card[data-own="true"]')).to_have_count(1)


def test_an_engine_that_stays_away_is_told_and_pressing_again_places_the_same_order(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.tolerate("ERR_FAILED")
    page.clock.install()
    dashboard.open()
    sent = submissions(dashboard)
    page.route("**/api/orders", lambda route: route.abort())
    page.click("#submit")
    for tries in range(1, 5):
        with page.expect_request(is_submission) as _:
            expect(page.locator("#ticket-status")).to_have_text("The engine does not answer; trying again…")
            page.clock.fast_forward(6_000 if len(sent) == tries else 0)
    says = page.locator("#ticket-status")
    expect(says).to_have_text("The engine does not answer. Press again to go on: the order is placed at most once.")
    page.unroute_all()
    page.clock.fast_forward(1_000)
    expect(page.locator("#submit")).to_have_attribute("aria-disabled", "false")
    page.click("#submit")
    expect(says).to_contain_text("accepted")
    assert len(sent) == 6
    assert one_key(sent)


def test_a_double_click_places_one_order(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.open()
    sent = submissions(dashboard)
    page.dblclick("#submit")
    expect(page.locator("#ticket-status")).to_contain_text("accepted")
    page.press("#amount", "Enter")
    expect(page.locator("#submit")).to_have_attribute("aria-disabled", "false")
    assert len(sent) == 1
    expect(page.locator('.card[data-own="true"]')).to_have_count(1)


def test_a_page_that_begins_while_the_engine_is_away_begins_when_it_is_back(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.tolerate("status of 503")
    away = {"message": "Service Unavailable"}
    page.route("**/api/config", lambda route: route.fulfill(status=503, json=away))
    page.goto(f"{dashboard.stack.endpoints.http}/")
    expect(page.locator("#banner")).to_contain_text("Trying again…")
    page.unroute_all()
    expect(page.locator("html")).to_have_attribute("data-ready", "true", timeout=PATIENCE_MS)
    expect(page.locator("#banner")).to_be_hidden()


def test_orders_that_cannot_be_read_are_not_said_to_be_none_and_come_with_the_network(dashboard: Dashboard) -> None:
    page = dashboard.page
    counts, banner = page.locator("#pipeline dd"), page.locator("#banner")
    dashboard.tolerate("status of 503")
    page.route(LISTS, lambda route: route.fulfill(status=503, json={"message": "Service Unavailable"}))
    dashboard.open(discoverySeconds=3600)
    expect(page.locator("#cards-empty")).to_have_text("Orders cannot be read right now. Trying again…")
    expect(counts).to_have_text([UNKNOWN] * 7)
    expect(banner).to_contain_text("asking again…")

    page.unroute_all()
    page.route(LISTS, lambda _: None)
    with page.expect_request(LISTS):
        page.evaluate(COME_BACK)
    page.unroute_all()
    # The page does not wait for the answer that will not come.
    page.evaluate(COME_BACK)
    expect(banner).to_be_hidden()
    expect(counts).to_have_text([re.compile(r"^\d+$")] * 7)


def one_key(sent: list[Request]) -> bool:
    return len({(request.headers["idempotency-key"], request.post_data) for request in sent}) == 1
