"""The dashboard and what it asks for, on the deployed stack: its files, the configuration, quotes and statistics."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import httpx

from local.stack import Stack
from tests.e2e.clients import SELL_SOL, Client, Json, inject, run, until

MOST_BPS_APART = 25
"""In the second between a quote and its order: the market moves by 9 bps in three seconds at most."""


def test_the_page_is_at_the_base_url_with_and_without_a_slash_and_finds_its_files(stack: Stack) -> None:
    with httpx.Client(follow_redirects=True) as browser:
        page = browser.get(stack.endpoints.http)
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert browser.get(f"{stack.endpoints.http}/").text == page.text
        origin = stack.endpoints.ws.partition("/_aws")[0]
        assert f"connect-src 'self' {origin};" in page.headers["content-security-policy"]
        named = re.findall(r'(?:src|href)="([^"#:]+)"', page.text)
        assert named
        for name in named:
            found = browser.get(page.url.join(name))
            assert found.status_code == 200, name
            known = {"If-None-Match": found.headers["etag"]}
            assert browser.get(page.url.join(name), headers=known).status_code == 304, name
        head = browser.head(page.url)
        assert (head.status_code, head.headers["etag"], head.content) == (200, page.headers["etag"], b"")


def test_clients_are_told_where_this_stack_is(stack: Stack) -> None:
    config = httpx.get(f"{stack.endpoints.http}/api/config").json()
    assert config["webSocketUrl"] == stack.endpoints.ws
    assert config["venues"] == ["meteora", "raydium"]
    assert config["tokens"][0] == {"symbol": "SOL", "decimals": 9}


def test_a_quote_agrees_with_what_the_order_then_gets(stack: Stack) -> None:
    async def scenario(client: Client) -> tuple[Json, Json]:
        response = await client.http.post("/api/quotes", json=SELL_SOL)
        assert response.status_code == 200, response.text
        order_id = (await client.submit(**SELL_SOL))["orderId"]
        return response.json(), await client.outcome(order_id)

    quote, order = run(stack, scenario)
    building = order["events"][2]
    assert building["status"] == "building"
    assert [one.keys() for one in quote["quotes"]] == [one.keys() for one in building["quotes"]]
    for quoted, executed in (
        *((quoted["amountOut"], executed["amountOut"]) for quoted, executed in both(quote, building)),
        (quote["minAmountOut"], order["minAmountOut"]),
        (quote["amountOut"], order["amountOut"]),
        (quote["price"], order["executedPrice"]),
    ):
        assert abs(Decimal(quoted) / Decimal(executed) - 1) * 10_000 < MOST_BPS_APART, (quoted, executed)


def both(quote: Json, building: Json) -> list[tuple[Json, Json]]:
    return list(zip(quote["quotes"], building["quotes"], strict=True))


def test_without_a_venue_there_is_no_quote_and_nobody_is_to_blame_but_the_venues(stack: Stack) -> None:
    inject(stack, "*", {f"submit_order.venues.{name}.quote": ("refuse", 1) for name in ("raydium", "meteora")})
    answer = httpx.post(f"{stack.endpoints.http}/api/quotes", json=SELL_SOL)
    assert (answer.status_code, answer.json()["code"]) == (503, "VENUE_UNAVAILABLE")
    assert httpx.post(f"{stack.endpoints.http}/api/quotes", json=SELL_SOL).status_code == 200


def test_the_statistics_count_what_was_executed_what_failed_and_what_waits_for_an_operator(stack: Stack) -> None:
    async def stats(client: Client) -> Json:
        response = await client.http.get("/api/stats")
        assert response.status_code == 200, response.text
        found: Json = response.json()
        return found

    async def scenario(client: Client) -> None:
        async def once(wanted: Any, what: str) -> Json:
            async def is_there() -> Json | None:
                found = await stats(client)
                return found if wanted(found) else None

            seen: Json = await until(is_there, 60, what)
            return seen

        before = await once(lambda now: not now["unavailable"], "statistics of all parts")
        failing = await client.submit_with_faults({"execute_order.chain.send": ("revert", 3)})
        live = await once(lambda now: now["oldestLiveOrder"], "an oldest live order")
        assert live["oldestLiveOrder"]["ageSeconds"] >= 0
        assert (await client.outcome((await client.submit(**SELL_SOL))["orderId"]))["status"] == "confirmed"
        assert (await client.outcome(failing, seconds=90))["status"] == "failed"

        after = await once(
            lambda now: (
                now["confirmed"] > before["confirmed"]
                and now["failed"] > before["failed"]
                and now["queues"]["deadLetters"]["waiting"] > before["queues"]["deadLetters"]["waiting"]
            ),
            "both orders and the dead letter",
        )
        assert sum(minute["confirmed"] for minute in after["perMinute"]) == after["confirmed"]
        assert {"errorCode", "count"} <= after["failures"][0].keys()
        assert "ATTEMPTS_EXHAUSTED" in {failure["errorCode"] for failure in after["failures"]}
        assert 0 < after["timeToConfirmMs"]["p50"] <= after["timeToConfirmMs"]["p95"] < 60_000
        assert 0 < Decimal(after["successRate"]) < 1

        inject(stack, "*", {"submit_order.history.ended": ("refuse", 1)})
        away = await once(lambda now: now["unavailable"], "a part that is away")
        assert (away["unavailable"], away["confirmed"], away["perMinute"]) == (["postgres"], None, None)
        assert away["queues"] is not None

    run(stack, scenario)
