"""The history view: the same orders as the API lists under the same filters, page by page, and as a file."""

from __future__ import annotations

import csv
import json
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from playwright.sync_api import Response, expect

from local.stack import Stack
from tests.browser.api import Json, submit
from tests.browser.dashboard import PATIENCE_MS, Dashboard
from tests.e2e.polling import poll

# The visitor's, whose clock the filters are in.
THERE = timezone(timedelta(hours=5, minutes=30))

FORMULA = '=HYPERLINK("http://example.com","x")'
COPIES = 60
PAGE = 50


@pytest.fixture(scope="module", autouse=True)
def many_orders(stack: Stack) -> None:
    """Two real orders, and copies of their records: three users, two pairs, a minute apart."""
    pair = {"tokenIn": "SOL", "tokenOut": "USDC"}
    confirmed = submit(stack, **pair, amount="1.5", userId=FORMULA, clientOrderId='+1, "x"')
    failed = submit(stack, tokenIn="JUP", tokenOut="BONK", amount="1", userId="trader-0")
    for order_id in (confirmed, failed):
        poll(lambda: recorded(stack, order_id), bool)  # noqa: B023
        copy(stack, order_id, COPIES)


def test_a_history_of_many_pages_comes_page_by_page_each_order_once(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.open("history", "userId=trader-0")
    rows, more = page.locator("#rows tr"), page.locator("#more")
    cursors = []
    expect(rows).not_to_have_count(0)
    while more.is_visible():
        shown = rows.count()
        with page.expect_response(is_list) as answer:
            more.click()
        cursors += parse_qs(urlsplit(answer.value.url).query)["cursor"]
        expect(rows).not_to_have_count(shown)
    listed = everything(dashboard, userId="trader-0")
    assert len(listed) > PAGE / 2
    assert ids_in(dashboard) == [order["orderId"] for order in listed]

    page.get_by_role("button", name="Clear filters").click()
    expect(page.locator("#history-status")).to_have_text(f"{PAGE} orders so far")
    more.click()
    expect(rows).to_have_count(2 * PAGE)
    assert len(set(ids_in(dashboard))) == 2 * PAGE


def test_a_row_goes_on_while_somebody_is_at_its_button(dashboard: Dashboard) -> None:
    dashboard.open("history")
    order_id = dashboard.place(faults={"orders.save.confirmed": ("delay", 1)}, delay_ms=5_000, amount="0.75")
    dashboard.page.reload()
    row = dashboard.page.locator(f'#rows tr[data-order-id="{order_id}"]')
    button = row.get_by_role("button")
    button.focus()
    expect(row).not_to_have_attribute("data-status", "confirmed", timeout=1)
    expect(row).to_have_attribute("data-status", "confirmed", timeout=PATIENCE_MS)
    expect(row).to_contain_text("USDC")
    expect(button).to_be_focused()


@pytest.mark.parametrize(
    ("fields", "parameters"),
    [
        ({"status": "failed"}, {"status": "failed"}),
        ({"type": "market"}, {"type": "market"}),
        ({"pair": "RAY/USDC"}, {"pair": "RAY/USDC"}),
        ({"userId": "trader-1"}, {"userId": "trader-1"}),
        ({"from": -10}, {"from": -10}),
        ({"to": -10}, {"to": -10}),
        ({"status": "confirmed", "userId": "trader-2", "from": -30}, None),
        ({"status": "pending"}, {"status": "pending"}),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_each_filter_shows_what_the_api_lists_under_it_and_survives_a_reload(
    dashboard: Dashboard, fields: dict[str, str | int], parameters: dict[str, str | int] | None
) -> None:
    page = dashboard.page
    minute = datetime.now(UTC).replace(second=0, microsecond=0)
    typed, asked = {}, {}
    for name, value in fields.items():
        at = minute + timedelta(minutes=value) if isinstance(value, int) else None
        typed[name] = at.astimezone(THERE).strftime("%Y-%m-%dT%H:%M") if at else str(value)
        asked[name] = at.isoformat() if at else str(value)
    dashboard.open("history")
    expect(page.locator("#history-status")).to_contain_text("orders")

    for name, text in typed.items():
        with page.expect_response(lambda answer: is_list(answer) and f"{name}=" in answer.url):  # noqa: B023
            if name in {"status", "type", "pair"}:
                page.select_option(f"#filter-{name}", text)
            else:
                page.fill(f"#filter-{name}", text)
    wanted = [order["orderId"] for order in dashboard.get("/api/orders", limit=PAGE, **asked)["orders"]]
    expect(page.locator("#rows tr")).to_have_count(len(wanted))
    assert ids_in(dashboard) == wanted
    assert bool(wanted) == (fields != {"status": "pending"})
    expect(page.locator("#rows-empty")).to_be_visible(visible=not wanted)

    page.reload()
    expect(page.locator("#history-status")).to_have_text(re.compile(rf"{len(wanted)} orders?( so far)?$"))
    assert ids_in(dashboard) == wanted
    for name, text in typed.items():
        expect(page.locator(f"#filter-{name}")).to_have_value(text)


def test_what_is_exported_is_what_the_api_lists_and_harmless_in_a_spreadsheet(
    dashboard: Dashboard, tmp_path: Path
) -> None:
    page = dashboard.page
    dashboard.open("history", "status=confirmed")
    expect(page.locator("#history-status")).to_contain_text("orders")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export CSV").click()
    download.value.save_as(tmp_path / "orders.csv")
    with (tmp_path / "orders.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    listed = everything(dashboard, status="confirmed")
    assert len(listed) > PAGE
    for row, order in zip(rows, listed, strict=True):
        assert {name: disarmed(order.get(name)) for name in row if name != "fees"} == {
            name: cell for name, cell in row.items() if name != "fees"
        }
        assert json.loads(row["fees"]) == order["fees"]
    armed = [row for row in rows if FORMULA in row["userId"]]
    assert [(row["userId"], row["clientOrderId"]) for row in armed] == [(f"'{FORMULA}", '\'+1, "x"')]
    expect(page.locator("#history-status")).to_have_text(f"Exported {len(listed)} orders")


def test_a_history_that_is_away_says_so_and_is_there_again_at_a_press(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.tolerate("status of 503")
    away = {"status": 503, "code": "HISTORY_UNAVAILABLE", "detail": "The history is away", "retryable": True}
    page.route("**/api/orders?*limit=50*", lambda route: route.fulfill(status=503, json=away))
    dashboard.open("history", discoverySeconds=0.5)
    expect(page.locator("#rows-empty")).to_have_text("The history is away (HISTORY_UNAVAILABLE).")
    expect(page.locator("#banner")).to_contain_text("The history is away")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#rows tr")).to_have_count(PAGE)
    expect(page.locator("#banner")).to_be_hidden(timeout=PATIENCE_MS)


def is_list(answer: Response) -> bool:
    return "/api/orders?" in answer.url and f"limit={PAGE}" in answer.url


def ids_in(dashboard: Dashboard) -> list[str]:
    ids: list[str] = dashboard.page.locator("#rows tr").evaluate_all("rows => rows.map((row) => row.dataset.orderId)")
    return ids


def everything(dashboard: Dashboard, **parameters: str) -> list[Json]:
    listed: list[Json] = []
    cursor: Json = {}
    while True:
        page = dashboard.get("/api/orders", limit=100, **parameters, **cursor)
        listed += page["orders"]
        if page["nextCursor"] is None:
            return listed
        cursor = {"cursor": page["nextCursor"]}


def disarmed(value: object) -> str:
    """As a cell: a spreadsheet would run what begins like a formula, and is no number."""
    text = "" if value is None else str(value)
    is_number = re.fullmatch(r"-\d+(\.\d+)?", text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) and not is_number else text


def recorded(stack: Stack, order_id: str) -> bool:
    with psycopg.connect(stack.endpoints.postgres) as connection:
        return connection.execute("SELECT FROM orders WHERE id = %s", [order_id]).rowcount == 1


def copy(stack: Stack, order_id: str, count: int) -> None:
    """Older ones by a minute each, of three users and, in turns, of another pair."""
    with psycopg.connect(stack.endpoints.postgres) as connection:
        columns = connection.execute(
            "SELECT string_agg(column_name, ', ') FROM information_schema.columns"
            " WHERE table_name = 'orders' AND is_generated = 'NEVER'"
        ).fetchone()
        assert columns
        connection.execute(
            f"""
            WITH copies AS (INSERT INTO orders ({columns[0]}) SELECT {columns[0]} FROM (
              SELECT (jsonb_populate_record(original, jsonb_build_object(
                'id', gen_random_uuid(), 'user_id', 'trader-' || n %% 3, 'client_order_id', NULL,
                'token_in', CASE n %% 4 WHEN 0 THEN 'RAY' ELSE token_in END,
                'created_at', created_at - n * interval '1 minute',
                'updated_at', updated_at - n * interval '1 minute'))).*
              FROM orders original, generate_series(1, %s) n WHERE original.id = %s) copies
            RETURNING id)
            INSERT INTO order_status_history (order_id, sequence, status, payload, created_at)
            SELECT copies.id, sequence, status, payload || jsonb_build_object('orderId', copies.id), created_at
            FROM copies, order_status_history WHERE order_id = %s
            """.encode(),
            [count, order_id, order_id],
        )
