"""One set of cases for every `History`, the one in memory and the one in Postgres; then what only Postgres can do."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import Mock

import psycopg
import pytest
from psycopg.rows import dict_row

from local.postgres import Postgres
from order_engine.adapters import database
from order_engine.adapters.postgres import PostgresHistory, record_query
from order_engine.domain.errors import Unavailable
from order_engine.domain.events import timestamp
from order_engine.domain.orders import TERMINAL, Order, Status
from order_engine.domain.quotes import Swap, SwapMode
from order_engine.domain.statistics import EndedOrders, Percentiles
from order_engine.domain.summaries import OrderSummary
from order_engine.service import check_health, read_stats
from order_engine.service.ports import History, OrderFilter, Position
from tests.builders import BUY_SOL, a_confirmed_order, a_failed_order, an_expired_order, confirm, exhaust
from tests.fakes import NOON, InMemoryHistory

EVERYTHING = OrderFilter()

run = asyncio.run


@pytest.fixture
def postgres_history(database_url: str) -> PostgresHistory:
    with psycopg.connect(database_url) as connection:
        connection.execute("TRUNCATE orders, order_status_history")
    return PostgresHistory(database_url)


@pytest.fixture(params=["memory", "postgres"])
def history(request: pytest.FixtureRequest) -> History:
    if request.param == "memory":
        return InMemoryHistory()
    postgres_history: PostgresHistory = request.getfixturevalue("postgres_history")
    return postgres_history


def record(history: History, *orders: Order) -> None:
    async def record_all() -> None:
        for order in orders:
            await history.record(order)

    run(record_all())


def find(
    history: History, filter: OrderFilter = EVERYTHING, before: Position | None = None, limit: int = 100
) -> list[str]:
    return [summary.order_id for summary in run(history.find(filter, before=before, limit=limit))]


def minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


# Both


def ended_at(order: Order, at: timedelta, gain: str = "1") -> Order:
    """With its last event so long after noon."""
    last = {**order.events[-1], "timestamp": timestamp(NOON + at)}
    if order.status is Status.CONFIRMED:
        last["priceImprovementBps"] = gain
    return replace(order, events=(*order.events[:-1], last))


def test_what_ended_is_counted_by_minute_status_and_error(history: History) -> None:
    seconds = timedelta(seconds=1)
    record(
        history,
        ended_at(a_confirmed_order("too early"), minutes(1) - seconds / 1000),
        *(ended_at(a_confirmed_order(f"first {second}"), minutes(1) + second * seconds) for second in range(60)),
        ended_at(a_failed_order("second"), minutes(2)),
        ended_at(an_expired_order("third"), minutes(3) + 59 * seconds),
        ended_at(a_confirmed_order("accepted long ago", created_at=NOON - minutes(600)), minutes(3)),
        ended_at(a_failed_order("too late"), minutes(4)),
    )
    ended = run(history.ended(NOON + minutes(1), NOON + minutes(4)))
    assert ended.by_minute == {
        (NOON + minutes(1), Status.CONFIRMED): 60,
        (NOON + minutes(2), Status.FAILED): 1,
        (NOON + minutes(3), Status.CONFIRMED): 1,
        (NOON + minutes(3), Status.EXPIRED): 1,
    }
    assert ended.by_error == {"ATTEMPTS_EXHAUSTED": 1}
    assert (ended.count(Status.CONFIRMED), ended.success_rate) == (61, Decimal(61) / 63)


def test_percentiles_are_values_that_were_there_and_of_confirmed_orders_only(history: History) -> None:
    orders = (
        ended_at(a_confirmed_order(f"{number:03}"), timedelta(milliseconds=number * 1_001), gain=f"{number}.25")
        for number in range(1, 101)
    )
    record(history, *orders, ended_at(a_failed_order(), minutes(59)))
    ended = run(history.ended(NOON, NOON + minutes(60)))
    assert ended.time_to_confirm_ms == Percentiles(50_050, 95_095)
    assert ended.price_improvement_bps == Percentiles(Decimal("50.25"), Decimal("95.25"))


def test_of_nothing_there_are_no_statistics(history: History) -> None:
    ended = run(history.ended(NOON, NOON + minutes(60)))
    assert ended == EndedOrders({}, {}, None, None)
    assert ended.success_rate is None


def test_an_order_that_was_replayed_counts_by_its_last_end(history: History) -> None:
    failed = a_failed_order()
    record(history, failed)
    replayed = ended_at(confirm(failed.replayed("claim", failed.updated_at)), minutes(5))
    record(history, replayed)
    assert run(history.ended(NOON, NOON + minutes(5))).by_minute == {}
    assert run(history.ended(NOON, NOON + minutes(6))).by_minute == {(NOON + minutes(5), Status.CONFIRMED): 1}


@pytest.mark.parametrize(
    "order",
    [
        a_confirmed_order(user_id="u1", client_order_id="mine", expires_at=NOON + minutes(5), limit=220_000_000),
        a_confirmed_order(swap=BUY_SOL, slippage_bps=0),
        a_failed_order(),
        an_expired_order(expires_at=NOON),
    ],
    ids=["confirmed", "exact out", "failed", "expired"],
)
def test_a_recorded_order_reads_back_as_it_was(history: History, order: Order) -> None:
    record(history, order)

    assert run(history.get(order.order_id)) == (OrderSummary.of(order), list(order.events))
    assert run(history.find(EVERYTHING, before=None, limit=1)) == [OrderSummary.of(order)]


def test_an_order_never_recorded_is_not_there(history: History) -> None:
    assert run(history.get("no such order")) is None
    assert find(history) == []


def test_amounts_of_nine_decimals_are_exact(history: History) -> None:
    dust = Swap("SOL", "USDC", 1, SwapMode.EXACT_IN)
    most = Swap("SOL", "USDC", 999_999_999_999_999_999_999, SwapMode.EXACT_IN)
    record(
        history,
        a_confirmed_order("dust", swap=dust),
        a_confirmed_order("most", swap=most, limit=123_456_789_012_345_678),
    )

    for order_id, amount, limit in [
        ("dust", "0.000000001", "222.872221"),
        ("most", "999999999999.999999999", "123456789012.345678"),
    ]:
        recorded = run(history.get(order_id))
        assert recorded is not None
        summary, _ = recorded
        assert (summary.amount, summary.amount_in) == (Decimal(amount), Decimal(amount))
        assert summary.min_amount_out == Decimal(limit)
        assert str(summary.amount) in (amount, "1E-9")


def test_texts_come_back_letter_by_letter(history: History) -> None:
    odd = "'; DROP TABLE orders; -- %s %(id)s {} \\ \" \t\n é 漢字 🚀 \u2028 \x7f"
    order = a_confirmed_order(user_id=odd, client_order_id=odd, owner=odd)
    order = replace(order, events=(order.events[0] | {"message": odd, odd: [{odd: None}]}, *order.events[1:]))
    record(history, order)

    assert run(history.get(order.order_id)) == (OrderSummary.of(order), list(order.events))
    assert find(history, OrderFilter(user_id=odd)) == [order.order_id]


def test_orders_are_found_newest_first_and_by_bytes_of_their_id_where_the_time_is_the_same(history: History) -> None:
    ids = ["b", "B", "a-2", "a1", "a-1", "é"]
    record(history, *(a_confirmed_order(order_id) for order_id in ids))
    record(
        history,
        a_confirmed_order("old", created_at=NOON - minutes(1)),
        a_confirmed_order("new", created_at=NOON + minutes(1)),
    )

    assert find(history) == ["new", *sorted(ids, reverse=True), "old"]


@pytest.mark.parametrize("page", [1, 2, 3, 7, 8])
def test_paging_visits_each_order_once(history: History, page: int) -> None:
    orders = [a_confirmed_order(f"order-{number}", created_at=NOON + minutes(number // 3)) for number in range(7)]
    record(history, *orders)

    visited: list[str] = []
    before: Position | None = None
    while summaries := run(history.find(EVERYTHING, before=before, limit=page)):
        assert len(summaries) <= page
        assert len(visited) < len(orders)
        visited += [summary.order_id for summary in summaries]
        before = Position(summaries[-1].created_at, summaries[-1].order_id)

    assert visited == [order.order_id for order in reversed(orders)]


def test_an_order_recorded_while_somebody_pages_moves_nothing(history: History) -> None:
    record(history, *(a_confirmed_order(f"order-{number}", created_at=NOON + minutes(number)) for number in range(4)))
    assert find(history, limit=2) == ["order-3", "order-2"]
    record(history, a_confirmed_order("newer", created_at=NOON + minutes(9)))

    assert find(history, before=Position(NOON + minutes(2), "order-2")) == ["order-1", "order-0"]


BONK = Swap("USDC", "BONK", 1_000_000, SwapMode.EXACT_IN)
MIXED = [
    a_confirmed_order("mine", user_id="me"),
    a_failed_order("failed", user_id="me", created_at=NOON + minutes(1)),
    a_confirmed_order("bonk", swap=BONK, user_id="me", created_at=NOON + minutes(2)),
    a_confirmed_order("limit", type="limit", created_at=NOON + minutes(3)),
    an_expired_order("yours", user_id="you", created_at=NOON + minutes(4)),
]


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        (OrderFilter(), ["yours", "limit", "bonk", "failed", "mine"]),
        (OrderFilter(status=Status.CONFIRMED), ["limit", "bonk", "mine"]),
        (OrderFilter(status=Status.PENDING), []),
        (OrderFilter(type="limit"), ["limit"]),
        (OrderFilter(user_id="me"), ["bonk", "failed", "mine"]),
        (OrderFilter(user_id=""), []),
        (OrderFilter(pair=("USDC", "BONK")), ["bonk"]),
        (OrderFilter(pair=("BONK", "USDC")), []),
        (OrderFilter(pair=("USDC", "SOL")), []),
        (OrderFilter(pair=("SOL", "BONK")), []),
        (OrderFilter(since=NOON + minutes(3)), ["yours", "limit"]),
        (OrderFilter(until=NOON + minutes(1)), ["mine"]),
        (OrderFilter(since=NOON + minutes(1), until=NOON + minutes(3)), ["bonk", "failed"]),
        (OrderFilter(user_id="me", status=Status.CONFIRMED), ["bonk", "mine"]),
        (OrderFilter(Status.CONFIRMED, "market", "me", ("SOL", "USDC"), NOON, NOON + minutes(9)), ["mine"]),
        (OrderFilter(Status.CONFIRMED, "limit", "me", ("SOL", "USDC"), NOON, NOON + minutes(9)), []),
    ],
)
def test_a_filter_finds_what_meets_all_of_it(history: History, filter: OrderFilter, found: list[str]) -> None:
    record(history, *MIXED)

    assert find(history, filter) == found


def test_a_filter_holds_on_later_pages_too(history: History) -> None:
    record(history, *MIXED)

    assert find(history, OrderFilter(user_id="me"), before=Position(NOON + minutes(2), "bonk"), limit=1) == ["failed"]


def test_recording_again_changes_nothing(history: History) -> None:
    order = a_confirmed_order()
    record(history, order, order)

    assert run(history.get(order.order_id)) == (OrderSummary.of(order), list(order.events))
    assert find(history) == [order.order_id]


def test_a_replayed_order_that_finishes_again_is_brought_up_to_date(history: History) -> None:
    failed = a_failed_order()
    confirmed = confirm(failed.replayed("operator", failed.updated_at + minutes(1)))
    record(history, failed, confirmed)

    assert run(history.get(failed.order_id)) == (OrderSummary.of(confirmed), list(confirmed.events))
    assert find(history, OrderFilter(status=Status.FAILED)) == []


def test_a_late_copy_of_an_earlier_end_does_not_undo_a_later_one(history: History) -> None:
    failed = a_failed_order()
    confirmed = confirm(failed.replayed("operator", failed.updated_at + minutes(1)))
    record(history, confirmed, failed)

    assert run(history.get(failed.order_id)) == (OrderSummary.of(confirmed), list(confirmed.events))


def test_orders_recorded_at_once_through_one_history_are_all_there(history: History) -> None:
    orders = [a_confirmed_order(f"order-{number:02}") for number in range(30)]

    async def at_once() -> None:
        await asyncio.gather(*(history.record(order) for order in orders for _ in range(2)))

    run(at_once())

    assert find(history) == [order.order_id for order in reversed(orders)]


def test_checking_a_history_that_answers_raises_nothing(history: History) -> None:
    run(history.check())


# Postgres


def rows(url: str, statement: str) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(statement.encode()).fetchall()


@contextmanager
def locked(url: str) -> Iterator[None]:
    with psycopg.connect(url) as connection:
        connection.execute("LOCK TABLE orders")
        yield


def together(url: str, history: History, orders: list[Order]) -> list[BaseException | None]:
    """What becomes of orders that all wait while the connection is busy."""

    async def wait_together() -> list[BaseException | None]:
        with locked(url):
            busy = asyncio.ensure_future(history.find(EVERYTHING, before=None, limit=1))
            records = [asyncio.ensure_future(history.record(order)) for order in orders]
            await asyncio.sleep(0)
        await busy
        return await asyncio.gather(*records, return_exceptions=True)

    return run(wait_together())


def test_workers_that_record_the_same_order_at_once_leave_one(
    database_url: str, postgres_history: PostgresHistory
) -> None:
    failed = a_failed_order()
    again = exhaust(failed.replayed("operator", failed.updated_at + minutes(1)))
    workers = [postgres_history, *(PostgresHistory(database_url) for _ in range(5))]

    async def at_once() -> None:
        await asyncio.gather(*(worker.check() for worker in workers))
        await asyncio.gather(*(worker.record(order) for worker in workers for order in (again, failed)))

    run(at_once())

    assert run(postgres_history.get(failed.order_id)) == (OrderSummary.of(again), list(again.events))
    assert rows(database_url, "SELECT count(*) FROM order_status_history") == [{"count": again.sequence}]


def test_orders_of_one_worker_share_one_connection(
    postgres_history: PostgresHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = Mock(wraps=database.connect)
    monkeypatch.setattr(database, "connect", connect)

    async def at_once() -> None:
        await asyncio.gather(*(postgres_history.record(a_confirmed_order(f"order-{number}")) for number in range(10)))

    run(at_once())
    run(at_once())

    assert connect.call_count == 1


def test_orders_that_wait_for_the_connection_are_recorded_in_one_transaction(
    database_url: str, postgres_history: PostgresHistory
) -> None:
    orders = [a_confirmed_order(f"order-{number}") for number in range(10)]

    assert together(database_url, postgres_history, orders) == [None] * 10

    assert rows(database_url, "SELECT count(DISTINCT xmin::text) FROM orders") == [{"count": 1}]
    assert [run(postgres_history.get(order.order_id)) for order in orders] == [
        (OrderSummary.of(order), list(order.events)) for order in orders
    ]


@pytest.mark.parametrize("nonsense", ["\0", "\ud800"], ids=["of the server's", "of the client's"])
def test_an_order_that_cannot_be_recorded_is_no_trouble_of_those_it_waits_with(
    database_url: str, postgres_history: PostgresHistory, nonsense: str
) -> None:
    orders = [a_confirmed_order(f"order-{number}", user_id=nonsense if number == 1 else None) for number in range(4)]

    outcomes = together(database_url, postgres_history, orders)

    assert [isinstance(outcome, psycopg.DataError | UnicodeError) for outcome in outcomes] == [
        False,
        True,
        False,
        False,
    ]
    assert find(postgres_history) == ["order-3", "order-2", "order-0"]


def test_two_ends_of_one_order_may_wait_together(database_url: str, postgres_history: PostgresHistory) -> None:
    failed = a_failed_order()
    confirmed = confirm(failed.replayed("operator", failed.updated_at + minutes(1)))

    assert together(database_url, postgres_history, [confirmed, failed]) == [None, None]

    assert run(postgres_history.get(failed.order_id)) == (OrderSummary.of(confirmed), list(confirmed.events))


def test_workers_with_the_same_orders_do_not_wait_for_each_other(
    database_url: str, postgres_history: PostgresHistory
) -> None:
    orders = [a_confirmed_order(f"order-{number}") for number in range(3)]
    with ThreadPoolExecutor() as workers, psycopg.connect(database_url) as third:
        third.execute(*encoded(record_query([orders[1]])))
        # From both ends to the one in the middle, which is taken.
        recorded = [workers.submit(execute, database_url, record_query(given)) for given in (orders, orders[::-1])]
        give_up = time.monotonic() + 10
        while (stuck := rows(database_url, WAITING_FOR_A_LOCK)) != [{"count": 2}]:
            assert time.monotonic() < give_up, stuck
        third.commit()
        for outcome in recorded:
            outcome.result()

    assert find(postgres_history) == ["order-2", "order-1", "order-0"]


WAITING_FOR_A_LOCK = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


def execute(url: str, query: tuple[str, dict[str, str]]) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(*encoded(query))


def encoded(query: tuple[str, dict[str, str]]) -> tuple[bytes, dict[str, str]]:
    statement, parameters = query
    return statement.encode(), parameters


def test_an_order_that_was_given_up_while_it_waited_is_not_sent_later(
    database_url: str, postgres_history: PostgresHistory
) -> None:
    async def given_up() -> None:
        with locked(database_url):
            first = asyncio.ensure_future(postgres_history.record(a_confirmed_order("first")))
            second = asyncio.ensure_future(postgres_history.record(a_confirmed_order("second")))
            await asyncio.sleep(0)
            second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        await postgres_history.record(a_confirmed_order("third"))

    run(given_up())

    assert find(postgres_history) == ["third", "first"]


def test_readers_of_the_usual_columns_find_them(database_url: str, postgres_history: PostgresHistory) -> None:
    confirmed, failed = a_confirmed_order("a"), a_failed_order("b")
    record(postgres_history, confirmed, failed)

    statement = """
        SELECT id, status, final_price, transaction_hash, error_message, failure_reason, token_in, token_out, amount,
               slippage_bps
        FROM orders ORDER BY id
    """
    common = {"token_in": "SOL", "token_out": "USDC", "amount": Decimal("1.5"), "slippage_bps": 100}
    why = failed.events[-1]["error"]
    assert rows(database_url, statement) == [
        {
            "id": "a",
            "status": "confirmed",
            "final_price": Decimal("150.082304"),
            "transaction_hash": "signature-of-a",
            "error_message": None,
            "failure_reason": None,
            **common,
        },
        {
            "id": "b",
            "status": "failed",
            "final_price": None,
            "transaction_hash": None,
            "error_message": why,
            "failure_reason": why,
            **common,
        },
    ]
    history = rows(
        database_url, "SELECT status, payload FROM order_status_history WHERE order_id = 'a' ORDER BY created_at"
    )
    assert history == [{"status": event["status"], "payload": event} for event in confirmed.events]


@pytest.mark.parametrize("status", Status)
def test_the_schema_knows_the_statuses_of_the_domain(
    database_url: str, postgres_history: PostgresHistory, status: Status
) -> None:
    record(postgres_history, a_failed_order())
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE order_status_history SET status = %s", [status.value])
        if status in TERMINAL:
            hash = "signature" if status is Status.CONFIRMED else None
            connection.execute("UPDATE orders SET status = %s, transaction_hash = %s", [status.value, hash])
        else:
            with pytest.raises(psycopg.errors.CheckViolation):
                connection.execute("UPDATE orders SET status = %s", [status.value])


@pytest.mark.parametrize(
    "nonsense",
    [
        "amount = 0",
        "amount = 'NaN'",
        "amount_out = -1",
        "final_price = 'Infinity'",
        "slippage_bps = -1",
        "slippage_bps = 10001",
        "token_out = token_in",
        "transaction_hash = NULL",
        "status = 'failed'",
        "sequence = 0",
    ],
)
def test_the_schema_refuses_nonsense(database_url: str, postgres_history: PostgresHistory, nonsense: str) -> None:
    record(postgres_history, a_confirmed_order())

    with psycopg.connect(database_url) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(f"UPDATE orders SET {nonsense}".encode())


def test_ids_are_ordered_by_bytes_whatever_the_locale_of_the_database(database_url: str) -> None:
    statement = (
        "SELECT collation_name FROM information_schema.columns WHERE table_name = 'orders' AND column_name = 'id'"
    )

    assert rows(database_url, statement) == [{"collation_name": "C"}]


# Postgres away


@contextmanager
def unavailable(because: type[Exception] = Exception) -> Iterator[None]:
    started = time.monotonic()
    with pytest.raises(Unavailable, match="Postgres") as caught:
        yield
    assert time.monotonic() - started < 3.5
    assert isinstance(caught.value.__cause__, because)


def test_a_history_works_again_once_postgres_is_back(postgres: Postgres, postgres_history: PostgresHistory) -> None:
    record(postgres_history, a_confirmed_order("before"))
    postgres.stop()
    try:
        for use in (postgres_history.record(a_confirmed_order("during")), postgres_history.check()):
            with unavailable():
                run(use)
    finally:
        postgres.start()
    record(postgres_history, a_confirmed_order("after"))

    assert set(find(postgres_history)) == {"before", "after"}


def test_a_connection_that_broke_while_idle_costs_nothing(database_url: str, postgres_history: PostgresHistory) -> None:
    run(postgres_history.check())
    with psycopg.connect(database_url) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 1000)", [backend_of(database_url)])

    record(postgres_history, a_confirmed_order())

    assert find(postgres_history) == ["order-1"]


def test_many_orders_give_up_together_on_a_server_that_says_nothing(silent_url: str) -> None:
    history = PostgresHistory(silent_url)

    async def at_once() -> list[BaseException | None]:
        orders = [a_confirmed_order(f"order-{number}") for number in range(10)]
        return await asyncio.gather(*(history.record(order) for order in orders), return_exceptions=True)

    started = time.monotonic()
    outcomes = run(at_once())

    assert time.monotonic() - started < 3.5
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 10


def test_a_server_that_falls_silent_is_unavailable_until_it_speaks_again(
    database_url: str, postgres_history: PostgresHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "REST_SECONDS", 0.0)
    run(postgres_history.check())
    backend = backend_of(database_url)
    os.kill(backend, signal.SIGSTOP)
    try:
        with unavailable():
            record(postgres_history, a_confirmed_order())
    finally:
        os.kill(backend, signal.SIGCONT)
    record(postgres_history, a_confirmed_order())

    assert find(postgres_history) == ["order-1"]


def test_a_silent_server_is_not_waited_for_again_and_again(silent_url: str) -> None:
    history = PostgresHistory(silent_url)
    with pytest.raises(Unavailable):
        run(history.check())
    started = time.monotonic()
    for _ in range(100):
        with pytest.raises(Unavailable):
            run(history.check())
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("asking", [check_health, read_stats])
def test_who_asks_for_every_part_leaves_giving_up_on_a_silent_server_to_the_history(asking: Any) -> None:
    # Only then does it rest: of two deadlines at once, the outer one is told of.
    assert asking._PATIENCE_SECONDS > database.DEADLINE_SECONDS


def test_a_statement_that_takes_too_long_is_ended_by_the_server(
    database_url: str, postgres_history: PostgresHistory
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("LOCK TABLE orders")
        with unavailable(because=psycopg.errors.QueryCanceled):
            record(postgres_history, a_confirmed_order())

    record(postgres_history, a_confirmed_order())


def test_connecting_is_given_up_before_the_deadline(silent_url: str) -> None:
    with unavailable(because=psycopg.errors.ConnectionTimeout):
        run(PostgresHistory(silent_url).check())


def test_a_missing_table_is_not_taken_for_a_database_that_is_away(empty_database_url: str) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        record(PostgresHistory(empty_database_url), a_confirmed_order())


def test_psycopg_is_only_imported_when_the_history_is_used() -> None:
    program = (
        "import sys; from order_engine.adapters.postgres import PostgresHistory; PostgresHistory('postgresql://nowhere');"
        "sys.exit('psycopg' in sys.modules)"
    )

    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": os.pathsep.join(sys.path)})


@pytest.fixture
def silent_url() -> Iterator[str]:
    """Of a server that accepts connections and then says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"postgresql://user@127.0.0.1:{server.getsockname()[1]}/orders"


def backend_of(url: str) -> int:
    """The server process of the engine's connection that was used last."""
    statement = (
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'order-engine' ORDER BY query_start DESC LIMIT 1"
    )
    pid: int = rows(url, statement)[0]["pid"]
    return pid


def test_a_server_that_has_become_a_standby_is_unavailable(database_url: str) -> None:
    history = PostgresHistory(f"{database_url}?options=-cdefault_transaction_read_only%3Don")
    with pytest.raises(Unavailable):
        asyncio.run(history.record(a_confirmed_order()))
