"""The API as its other clients have it, to hold the page against it; blocking, as this thread has a loop already."""

from __future__ import annotations

from typing import Any

import httpx

from local.stack import Stack

Json = dict[str, Any]


def get(stack: Stack, path: str, **parameters: Any) -> Json:
    response = httpx.get(f"{stack.endpoints.http}{path}", params=parameters, timeout=30)
    assert response.status_code == 200, response.text
    answer: Json = response.json()
    return answer


def submit(stack: Stack, **order: Any) -> str:
    """The id of a new order."""
    response = httpx.post(f"{stack.endpoints.http}/api/orders", json=order, timeout=30)
    assert response.status_code == 202, response.text
    return str(response.json()["orderId"])
