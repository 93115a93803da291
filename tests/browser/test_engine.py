"""The engine view: the API's own numbers and no others, and a load whose every order is counted."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from playwright.sync_api import Locator, Page, Response, expect

from local.stack import Stack
from tests.browser.api import Json
from tests.browser.dashboard import PATIENCE_MS, Dashboard
from tests.browser.words import duration
from tests.e2e.polling import poll

MOVING = {"timestamp", "from", "to", "perMinute"}


def test_a_load_of_ten_orders_counts_to_ten_and_the_figures_are_those_of_the_api(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.open("engine", statsSeconds=1)
    page.get_by_role("button", name="10 orders", exact=True).click()
    expect(figure(page, "Accepted")).to_have_text("10 of 10", timeout=PATIENCE_MS)
    expect(page.locator("#load-status")).to_have_text("10 orders are finished.", timeout=PATIENCE_MS)
    expect(page.locator("#load-figures [data-figure=Confirmed] dd")).to_have_text("10")
    expect(page.locator("#load-figures [data-figure=Refused] dd")).to_have_text("0")

    stats, _ = poll(lambda: both(dashboard), lambda both: both[0] == both[1] and both[0]["oldestLiveOrder"] is None)
    assert stats["confirmed"] >= 10
    expect(figures(page, "Confirmed")).to_have_text(str(stats["confirmed"]))
    expect(page.locator("#figures [data-figure=Confirmed] .note")).to_have_text(
        f"{stats['failed']} failed, {stats['expired']} expired"
    )
    rate = (Decimal(stats["successRate"]) * 100).normalize()
    expect(figures(page, "Success rate")).to_have_text(f"{rate:f} %")
    expect(figures(page, "Time to confirm")).to_have_text(duration(stats["timeToConfirmMs"]["p50"]))
    expect(figures(page, "Oldest live order")).to_have_text("none")
    for queue in ("Order queue", "Status queue", "Dead letters"):
        expect(figures(page, queue)).to_have_text("0" if queue != "Dead letters" else str(dead(stats)))
    for failure in stats["failures"]:
        expect(page.locator(".ranking")).to_contain_text(failure["errorCode"])


def test_a_part_that_is_away_is_said_to_be_away_and_nothing_is_made_up_for_it(
    dashboard: Dashboard, stack: Stack
) -> None:
    page = dashboard.page
    dashboard.tolerate("status of 503")
    dashboard.open("engine", statsSeconds=1)
    expect(page.locator("#engine-error")).to_be_hidden()
    stack.postgres.stop()
    try:
        expect(page.locator("#engine-error")).to_contain_text("Unavailable right now: postgres", timeout=PATIENCE_MS)
        for name in ("Confirmed", "Success rate", "Time to confirm"):
            expect(figures(page, name)).to_have_text("unavailable")
        expect(figures(page, "Order queue")).to_have_text(re.compile(r"\d+"))
    finally:
        stack.postgres.start()
    expect(page.locator("#engine-error")).to_be_hidden(timeout=PATIENCE_MS)


@pytest.mark.parametrize(("status", "says"), [(503, "The engine is away (AWAY)"), (429, "Too fast (AWAY)")])
def test_statistics_that_do_not_come_are_said_not_to_come(dashboard: Dashboard, status: int, says: str) -> None:
    page = dashboard.page
    dashboard.tolerate(f"status of {status}")
    dashboard.open("engine", statsSeconds=1)
    expect(page.locator("#figures dd")).not_to_have_count(0)
    problem = {"status": status, "code": "AWAY", "detail": says.removesuffix(" (AWAY)")}
    page.route("**/api/stats", lambda route: route.fulfill(status=status, json=problem))
    expect(page.locator("#engine-error")).to_have_text(f"{says}. The numbers below are from before; asking again.")
    page.unroute_all()
    expect(page.locator("#engine-error")).to_be_hidden(timeout=PATIENCE_MS)


def both(dashboard: Dashboard) -> tuple[Json, Json]:
    """What the page was answered last, and what the API answers after that, as far as time does not change it."""
    with dashboard.page.expect_response(is_stats) as answer:
        pass
    shown, now = answer.value.json(), dashboard.get("/api/stats")
    return standing(shown), standing(now)


def standing(stats: Json) -> Json:
    return {name: value for name, value in stats.items() if name not in MOVING}


def is_stats(answer: Response) -> bool:
    return answer.url.endswith("/api/stats")


def figure(page: Page, name: str) -> Locator:
    return page.locator(f'#load-figures [data-figure="{name}"] dd')


def figures(page: Page, name: str) -> Locator:
    return page.locator(f'#figures [data-figure="{name}"] dd').first


def dead(stats: Json) -> int:
    return sum(stats["queues"]["deadLetters"].values())
