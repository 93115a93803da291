"""A stack whose steps are slow enough to be seen, a browser, and the dashboard in it, which has to keep quiet.

Both live as long as these tests: Playwright keeps an event loop in this thread, where asyncio.run is then refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, ProxySettings, sync_playwright

from local.stack import Stack
from tests.browser.chromium import ADVICE, find_chromium, launch
from tests.browser.dashboard import Dashboard
from tests.e2e.stacks import running_stack

PARAMETERS = {
    "QuoteDelayMs": "150",
    "LandingMinMs": "500",
    "LandingMaxMs": "800",
    "RevertRate": "0",
    "FaultPoints": "on",
}

OpenDashboard = Callable[..., Dashboard]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        path = find_chromium(playwright)
        if path is None:
            missing = pytest.fail if os.environ.get("REQUIRE_BROWSER") == "1" else pytest.skip
            missing(ADVICE)
        browser = launch(playwright, path)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def stack(browser: Browser) -> Iterator[Stack]:
    with running_stack("browser", PARAMETERS) as running:
        yield running


@pytest.fixture
def new_dashboard(browser: Browser, stack: Stack) -> Iterator[OpenDashboard]:
    """Browsers of visitors who share nothing. What they complained of, or asked others for, fails the test."""
    dashboards: list[Dashboard] = []

    def new(*, proxy: ProxySettings | None = None) -> Dashboard:
        # Not in UTC, so that a time which is not converted is a wrong one.
        context = browser.new_context(
            viewport={"width": 1280, "height": 800},
            timezone_id="Asia/Kolkata",
            locale="en-GB",
            reduced_motion="reduce",
            proxy=proxy,
        )
        dashboards.append(Dashboard(context.new_page(), stack))
        return dashboards[-1]

    yield new
    for dashboard in dashboards:
        dashboard.page.context.close()
    assert [dashboard.complaints for dashboard in dashboards] == [[] for _ in dashboards]


@pytest.fixture
def dashboard(new_dashboard: OpenDashboard) -> Dashboard:
    return new_dashboard()
