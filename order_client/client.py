"""The client of an order engine: one object, one method for each thing to ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Literal, Self, TypedDict, Unpack
from urllib import parse
from uuid import uuid4

import httpx

from order_client.backoff import DEFAULT, Backoff
from order_client.decoding import camel, decode
from order_client.errors import ClientError, UnexpectedAnswer
from order_client.http import Http, Within, unlimited
from order_client.models import Accepted, Config, Event, Health, Order, Page, Quote, Stats
from order_client.watching import Watch

Amount = Decimal | int | str

_PAGE = 100

_RENAMED = {"since": "from", "until": "to"}


class Options(TypedDict, total=False):
    """What an order may have beyond two tokens and an amount. None is the same as leaving it out.

    `amount` is of the token given (`swap_mode` "exactIn", the default) or of the token wanted ("exactOut").
    `client_order_id` is an idempotency key that is kept with the order.
    """

    type: str | None
    slippage_bps: int | None
    swap_mode: Literal["exactIn", "exactOut"] | None
    min_amount_out: Amount | None
    max_amount_in: Amount | None
    expires_at: datetime | None
    client_order_id: str | None
    user_id: str | None


class Filter(TypedDict, total=False):
    """Which orders to list: `pair` is "SOL/USDC"; `since` and `until` are about when an order was created."""

    status: str | None
    pair: str | None
    type: str | None
    user_id: str | None
    since: datetime | None
    until: datetime | None


class OrderClient:
    """Every method raises `ClientError`, whose tree is in `order_client.errors`.

    What may succeed later (no answer, 429, 5xx of a gateway, and every problem that says so, but for `NoSwap`) is tried
    again, as `backoff` says. That is safe for orders too, since each goes under a key. Threads may share a client.
    `timeout` is for one answer, in seconds. `web_socket_url` need not be given: the engine says where it is.
    """

    def __init__(
        self,
        url: str,
        *,
        web_socket_url: str | None = None,
        timeout: float = 30,
        backoff: Backoff = DEFAULT,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = Http(url, timeout, backoff, transport)
        self._web_socket_url = web_socket_url
        self._backoff = backoff

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def submit(
        self,
        token_in: str,
        token_out: str,
        amount: Amount,
        *,
        idempotency_key: str | None = None,
        **options: Unpack[Options],
    ) -> Accepted:
        """Place an order, once, however often it has to be sent.

        The same order under the same key gets the first answer again; without a key, and without a `client_order_id`,
        which does the same, it is a new order each time. An error after which the order may have been placed has its
        `idempotency_key`.
        """
        body = _order(token_in, token_out, amount, options)
        key = idempotency_key
        if key is None and "clientOrderId" not in body:
            key = str(uuid4())
        headers = {} if key is None else {"Idempotency-Key": key}
        try:
            return decode(Accepted, self._http.ask("POST", "/api/orders", json=body, headers=headers))
        except ClientError as error:
            if error.retryable or isinstance(error, UnexpectedAnswer):
                error.idempotency_key = key or body["clientOrderId"]
            raise

    def quote(self, token_in: str, token_out: str, amount: Amount, **options: Unpack[Options]) -> Quote:
        """What that order would do now. Raises `NoSwap` with the code that it would fail with."""
        body = _order(token_in, token_out, amount, options)
        return decode(Quote, self._http.ask("POST", "/api/quotes", json=body))

    def order(self, order_id: str) -> Order:
        """The order as of now, with its events. Raises `OrderNotFound`."""
        return self._read(order_id, unlimited)

    def orders(self, *, page_size: int = _PAGE, **filter: Unpack[Filter]) -> Iterator[Order]:
        """Live and finished orders, newest first, without their events; pages are got as they are needed."""
        parameters = {**_given(filter), "limit": str(page_size)}
        while True:
            page = decode(Page, self._http.ask("GET", "/api/orders", params=parameters))
            yield from page.orders
            if page.next_cursor is None:
                return
            parameters["cursor"] = page.next_cursor

    def watch(self, order_id: str, *, after: int = 0, timeout: float | None = None) -> Iterator[Event]:
        """What happens to the order, from its first event on or after a sequence, up to the one that ends it.

        Every event comes once, in order and without gaps, as soon as it happens, whatever becomes of the connection.
        Raises `OrderNotFound`, `TimedOut` after `timeout` seconds, `Unreachable` when the engine stays away.
        """
        return Watch(
            order_id,
            after=after,
            timeout=timeout,
            read=self._read,
            socket_url=self._find_socket,
            backoff=self._backoff,
        ).events()

    def stats(self) -> Stats:
        """The last sixty minutes, the queues, and the oldest order that has not ended."""
        return decode(Stats, self._http.ask("GET", "/api/stats"))

    def config(self) -> Config:
        return self._configuration(unlimited)

    def health(self) -> Health:
        return decode(Health, self._http.ask("GET", "/health"))

    def _read(self, order_id: str, within: Within) -> Order:
        return decode(Order, self._http.ask("GET", f"/api/orders/{parse.quote(order_id, safe='')}", within=within))

    def _configuration(self, within: Within) -> Config:
        return decode(Config, self._http.ask("GET", "/api/config", within=within))

    def _find_socket(self, within: Within) -> str:
        self._web_socket_url = self._web_socket_url or self._configuration(within).web_socket_url
        return self._web_socket_url


def _order(token_in: str, token_out: str, amount: Amount, options: Options) -> dict[str, str]:
    return {"tokenIn": token_in, "tokenOut": token_out, "amount": _text(amount), **_given(options)}


def _given(values: Mapping[str, object]) -> dict[str, str]:
    return {_RENAMED.get(name, camel(name)): _text(value) for name, value in values.items() if value is not None}


def _text(value: object) -> str:
    """As it goes on the wire. Raises `TypeError` for a float, which is not the amount that it seems to be."""
    if isinstance(value, float):
        raise TypeError(f"{value!r} is a float; write amounts as text or as Decimal")
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, datetime) else str(value)
