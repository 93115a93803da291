"""Two hundred orders on the page at once: it stays smooth meanwhile, and keeps nothing of them afterwards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from statistics import quantiles
from typing import Any
from uuid import uuid4

from playwright.sync_api import CDPSession, Page, expect

from order_engine.domain.events import timestamp
from tests.browser.api import Json, submit
from tests.browser.dashboard import PATIENCE_MS, Dashboard
from tests.browser.forged import ForgedEngine, beginning, renamed
from tests.e2e.polling import poll

ORDERS = 200
AT_ONCE = 10
"""Events told between two frames or so: in all some 200 a second, ten times what the engine does."""

# Far from what was seen, since the machine may be busy with anything. Every frame of a stuttering page is late.
P95_FRAME_MS = 100
HEAP_GROWTH_BYTES = 1_500_000
NODES_GROWTH = 3000
"""Those of some fifteen cards, of the two hundred that have come and gone."""

_COUNT_FRAMES = """() => {
  window.frameTimes = [];
  let last = performance.now();
  requestAnimationFrame(function next(at) {
    window.frameTimes.push(at - last);
    last = at;
    requestAnimationFrame(next);
  });
}"""


def test_two_hundred_live_orders_neither_slow_the_page_nor_stay_in_its_memory(
    dashboard: Dashboard, report: Callable[[str], None]
) -> None:
    page = dashboard.page
    order_id = submit(dashboard.stack, tokenIn="SOL", tokenOut="USDC", amount="1.5")
    model = poll(lambda: dashboard.get(f"/api/orders/{order_id}"), lambda order: order["status"] == "confirmed")
    forged = ForgedEngine(dashboard)
    dashboard.open(discoverySeconds=1)
    page.evaluate(_COUNT_FRAMES)
    devtools = page.context.new_cdp_session(page)

    live_a_round(page, forged, model)
    first = memory(devtools)
    page.evaluate("frameTimes.length = 0")
    live_a_round(page, forged, model)
    frames = page.evaluate("frameTimes")
    second = memory(devtools)

    cuts = quantiles(frames, n=100)
    report(
        f"{len(frames)} frames, p50 {cuts[49]:.0f} ms, p95 {cuts[94]:.0f} ms, longest {max(frames):.0f} ms;"
        f" heap {first['heap'] / 1e6:.2f} MB, then {second['heap'] / 1e6:.2f} MB; nodes {first['nodes']}, then"
        f" {second['nodes']}"
    )
    assert cuts[94] < P95_FRAME_MS
    assert second["heap"] - first["heap"] < HEAP_GROWTH_BYTES
    assert second["nodes"] - first["nodes"] < NODES_GROWTH


def live_a_round(page: Page, forged: ForgedEngine, model: Json) -> None:
    """Two hundred new orders from their beginning to their end, all at the same time."""
    orders = [another(model, seconds=len(forged.orders) + number) for number in range(ORDERS)]
    for order in orders:
        forged.add(beginning(order))
    expect(page.locator("#live-count")).to_have_text(str(ORDERS), timeout=PATIENCE_MS)
    expect(page.locator('.card[data-live="true"]')).to_have_count(ORDERS, timeout=PATIENCE_MS)
    events = [order["events"][index] for index in range(1, len(model["events"])) for order in orders]
    for begin in range(0, len(events), AT_ONCE):
        for event in events[begin : begin + AT_ONCE]:
            forged.tell(event)
        page.evaluate("new Promise((resolve) => setTimeout(resolve, 50))")
    expect(page.locator("#live-count")).to_have_text("", timeout=PATIENCE_MS)


def another(model: Json, seconds: int) -> Json:
    """An order with the same story, so much later."""
    order: Json = renamed(model, model["orderId"], str(uuid4()))
    order |= {name: later(order[name], seconds) for name in ("createdAt", "updatedAt")}
    order["events"] = [event | {"timestamp": later(event["timestamp"], seconds)} for event in order["events"]]
    return order


def later(moment: str, seconds: int) -> str:
    return timestamp(datetime.fromisoformat(moment) + timedelta(seconds=seconds))


def memory(devtools: CDPSession) -> dict[str, Any]:
    """What is left of the page after collecting its garbage."""
    for _ in range(2):
        devtools.send("HeapProfiler.collectGarbage")
    heap = devtools.send("Runtime.getHeapUsage")["usedSize"]
    return {"heap": heap, "nodes": devtools.send("Memory.getDOMCounters")["nodes"]}
