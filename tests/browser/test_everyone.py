"""The page for everyone: on a phone and on a desk, in light and in dark, by keyboard, and read aloud."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize, expect

from local.stack import PROJECT, Stack
from tests.browser.api import get, submit
from tests.browser.dashboard import PATIENCE_MS, Dashboard
from tests.browser.forged import ForgedEngine
from tests.e2e.polling import poll

SCREENSHOTS = PROJECT / ".local" / "screenshots"

SIZES: dict[str, ViewportSize] = {
    "desktop": {"width": 1280, "height": 800},
    "phone": {"width": 375, "height": 812},
}
RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}

Prepare = Callable[[Dashboard], None]


@pytest.fixture(scope="module", autouse=True)
def some_orders(stack: Stack) -> None:
    """One that fails at once, one that buys, and one whose numbers are long, which is confirmed last."""
    submit(stack, tokenIn="JUP", tokenOut="BONK", amount="1", userId="alice")
    submit(
        stack, tokenIn="USDC", tokenOut="SOL", amount="2", swapMode="exactOut", userId="a-rather-long-name-of-a-desk"
    )
    order_id = submit(stack, tokenIn="SOL", tokenOut="USDC", amount="1234.5")
    poll(lambda: get(stack, f"/api/orders/{order_id}"), lambda order: order["status"] == "confirmed")


def empty(dashboard: Dashboard) -> None:
    ForgedEngine(dashboard)
    dashboard.open()
    expect(dashboard.page.locator("#cards-empty")).to_contain_text("No orders yet")
    expect(dashboard.page.locator("#quote-answer .headline")).to_be_visible()


def orders(dashboard: Dashboard) -> None:
    """One of each kind: under way after a first try, confirmed, failed."""
    dashboard.open()
    confirmed = dashboard.place(amount="1234.5")
    expect(dashboard.page.locator("#submit")).to_have_attribute("aria-disabled", "false")
    failed = dashboard.place(faults={"chain.send": ("revert", 3)}, amount="3")
    expect(dashboard.page.locator("#submit")).to_have_attribute("aria-disabled", "false")
    live = dashboard.place(faults={"chain.send": ("revert", 1), "orders.save.confirmed": ("delay", 1)}, delay_ms=20_000)
    expect(dashboard.card(live).locator(".attempts li")).to_have_count(1, timeout=PATIENCE_MS)
    expect(dashboard.card(live)).to_have_attribute("data-status", "submitted", timeout=PATIENCE_MS)
    dashboard.ends(failed, "failed")
    dashboard.ends(confirmed, "confirmed")
    dashboard.page.get_by_role("radio", name="Yours").check()
    expect(dashboard.page.locator(".card:visible")).to_have_count(3)


def history(dashboard: Dashboard) -> None:
    dashboard.open("history")
    expect(dashboard.page.locator("#rows tr")).not_to_have_count(0)


def detail(dashboard: Dashboard) -> None:
    history(dashboard)
    row = dashboard.page.locator('#rows tr[data-status="confirmed"]', has_text="234.5 SOL").first
    row.get_by_role("button").click()
    expect(dashboard.page.locator("#detail .trail li").first).to_be_visible()


def engine(dashboard: Dashboard) -> None:
    dashboard.open("engine", statsSeconds=1)
    page = dashboard.page
    page.get_by_role("button", name="10 orders", exact=True).click()
    expect(page.locator("#load-status")).to_have_text("10 orders are finished.", timeout=PATIENCE_MS)
    expect(page.locator("#charts figure")).not_to_have_count(0)


def errors(dashboard: Dashboard) -> None:
    dashboard.tolerate("status of 503")
    page = dashboard.page
    problem = {"status": 503, "code": "HISTORY_UNAVAILABLE", "detail": "The history is away", "retryable": True}
    page.route("**/api/orders?*", lambda route: route.fulfill(status=503, json=problem))
    dashboard.open()
    expect(page.locator("#banner")).to_contain_text("The history is away")
    dashboard.fill(amount="0", slippageBps="77", limit="x", expiresAt="-1")
    page.click("#submit")
    expect(page.locator("#amount-error")).to_have_text("Amount must be greater than zero")


def keys(dashboard: Dashboard) -> None:
    dashboard.open()
    dashboard.page.keyboard.press("?")
    expect(dashboard.page.locator("#help")).to_be_visible()


@pytest.mark.parametrize(
    "prepare", [empty, orders, history, detail, engine, errors, keys], ids=lambda state: state.__name__
)
def test_each_state_fits_its_screen_and_has_nothing_that_shuts_anybody_out(
    dashboard: Dashboard, prepare: Prepare
) -> None:
    """And is drawn into .local/screenshots, for people to look at."""
    page = dashboard.page
    prepare(dashboard)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    found = {}
    for size, viewport in SIZES.items():
        page.set_viewport_size(viewport)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            name = f"{prepare.__name__}-{size}-{scheme}"
            page.evaluate("scrollTo(0, 0)")
            page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=prepare not in {history, detail, keys})
            # What the dark phone shows, the other three have shown.
            found[name] = violations(page) if name != f"{prepare.__name__}-phone-dark" else []
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], size
        assert page.evaluate(
            "[...document.querySelectorAll('dialog[open]')].every((d) => d.scrollWidth <= d.clientWidth)"
        )
    assert found == {name: [] for name in found}


def violations(page: Page) -> list[str]:
    results: dict[str, Any] = Axe().run(page, options={"runOnly": RULES, "resultTypes": ["violations"]}).response
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in results["violations"]
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("size", SIZES)
def test_everything_is_done_by_keyboard_alone(dashboard: Dashboard, size: str) -> None:
    page = dashboard.page
    page.set_viewport_size(SIZES[size])
    dashboard.open()
    before = page.locator('.card[data-own="true"]').count()

    page.keyboard.press("/")
    expect(page.locator("#amount")).to_be_focused()
    page.keyboard.type("0.25")
    page.keyboard.press("Enter")
    expect(page.locator('.card[data-own="true"]')).to_have_count(before + 1)
    expect(page.locator("#ticket-status")).to_contain_text("accepted")

    tab_to(page, "#flip")
    page.keyboard.press("Enter")
    expect(page.locator("#tokenIn")).to_have_value("USDC")

    tab_to(page, "#tab-live")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-history")).to_be_focused()
    expect(page.locator("#history")).to_be_visible()
    expect(page.locator("#rows tr")).not_to_have_count(0)
    tab_to(page, "#export")
    tab_to(page, "#filter-status")
    tab_to(page, "#rows button")
    page.keyboard.press("Enter")
    expect(page.locator("#detail .trail li")).not_to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    expect(page.locator("#rows button").first).to_be_focused()

    page.keyboard.press("3")
    tab_to(page, "#engine [data-orders='10']")
    page.keyboard.press("1")
    expect(page.locator("#live-orders")).to_be_visible()
    tab_to(page, "#theme")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_on_a_phone_a_placed_order_comes_into_view_when_it_is_asked_for(dashboard: Dashboard) -> None:
    page = dashboard.page
    page.set_viewport_size(SIZES["phone"])
    dashboard.open("history")
    order_id = dashboard.place(amount="0.5")
    show = page.get_by_role("button", name="Show the order")
    expect(show).to_be_visible()
    expect(page.locator("#submit")).to_be_focused()
    expect(dashboard.card(order_id)).not_to_be_in_viewport()
    show.click()
    expect(dashboard.card(order_id)).to_be_focused()
    expect(dashboard.card(order_id)).to_be_in_viewport()


def tab_to(page: Page, selector: str) -> None:
    """Tab after tab, round the page if need be; where the focus is can always be seen."""
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement === document.querySelector(selector)", selector):
            return
    raise AssertionError(f"no number of tabs leads to {selector}")
