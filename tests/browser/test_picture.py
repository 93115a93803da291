"""The picture in README.md, drawn from a busy page of a real stack. `PICTURE=docs/dashboard.png pytest -k picture`."""

from __future__ import annotations

import io
import os
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect

from local.stack import PROJECT
from tests.browser.api import Json, submit
from tests.browser.dashboard import PATIENCE_MS, Dashboard

PICTURE = Path(os.environ.get("PICTURE", PROJECT / ".local" / "screenshots" / "dashboard.png"))
MOST_BYTES = 150_000
COLOURS = 128

EARLIER: list[Json] = [
    {"tokenIn": "BONK", "tokenOut": "USDC", "amount": "1000000"},
    {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "12.5", "userId": "alice"},
    {"tokenIn": "USDC", "tokenOut": "SOL", "amount": "2", "swapMode": "exactOut", "userId": "bob"},
]


def test_the_picture_of_a_busy_page_is_small_enough_for_the_readme(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.open()
    for order in EARLIER:
        dashboard.ends(submit(dashboard.stack, **order), "confirmed")
    dashboard.place(faults={"chain.send": ("revert", 1)}, tokenIn="SOL", tokenOut="USDC", amount="40")
    expect(page.locator('.card[data-retrying="true"]')).to_have_count(1, timeout=PATIENCE_MS)
    dashboard.place(faults={"orders.save.confirmed": ("delay", 1)}, delay_ms=5_000, tokenIn="RAY", tokenOut="USDC")
    expect(page.locator('.card[data-status="submitted"]')).not_to_have_count(0, timeout=PATIENCE_MS)
    shot = Image.open(io.BytesIO(page.screenshot()))
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    shot.convert("RGB").quantize(COLOURS).save(PICTURE, optimize=True)
    assert shot.width == 1280
    assert PICTURE.stat().st_size < MOST_BYTES
