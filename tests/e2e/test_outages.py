"""The database away, the queues away, ten orders' worker killed: what clients notice of it, and what is left of it.

OUTAGE_SECONDS=60 pytest tests/e2e/test_outages.py
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import Random

from local.stack import PROJECT, TEMPLATE, Stack
from local.workers import workers
from order_engine.domain.orders import Status
from tests.e2e.audit import all_settled, assert_nothing_lost_nothing_swapped_twice
from tests.e2e.clients import ENDINGS, Client, run
from tests.e2e.follower import Follower
from tests.e2e.proxy import FINE, SQS, Weather, proxied
from tests.e2e.test_recovery import sweep
from tests.e2e.workers import kill, needs_proc

POSTGRES_AWAY_SECONDS = float(os.environ.get("OUTAGE_SECONDS", "20"))
BRIEFLY_SECONDS = 5.0
ORDERS_MEANWHILE = 120

Report = Callable[[str], None]


@asynccontextmanager
async def following(stack: Stack) -> AsyncIterator[Follower]:
    follower = Follower(stack)
    task = asyncio.create_task(follower.run())
    try:
        yield follower
    finally:
        task.cancel()


@asynccontextmanager
async def without_postgres(stack: Stack) -> AsyncIterator[None]:
    await asyncio.to_thread(stack.postgres.stop)
    try:
        yield
    finally:
        await asyncio.to_thread(stack.postgres.start)


async def stream(client: Client, follower: Follower, seconds: float, per_second: float) -> set[str]:
    """Orders at an even pace. One that is refused fails the test: nothing is asked twice here."""
    loop = asyncio.get_running_loop()
    begin = loop.time()

    async def submit(number: int) -> str:
        await asyncio.sleep(begin + number / per_second - loop.time())
        order_id: str = (await client.submit())["orderId"]
        await follower.follow(order_id)
        return order_id

    return set(await asyncio.gather(*(submit(number) for number in range(round(seconds * per_second)))))


def test_with_postgres_away_none_is_refused_all_are_confirmed_and_the_history_completes_itself(
    stack: Stack, report: Report
) -> None:
    async def scenario(client: Client) -> set[str]:
        loop = asyncio.get_running_loop()
        async with following(stack) as follower, without_postgres(stack):
            order_ids = await stream(client, follower, POSTGRES_AWAY_SECONDS, per_second=2)
            for order_id in order_ids:
                events = await follower.end(order_id, 30)
                assert events[-1]["status"] == "confirmed"
        back = loop.time()
        await all_settled(stack, order_ids, 90)
        report(
            f"{len(order_ids)} orders in {POSTGRES_AWAY_SECONDS:g} s without Postgres, all accepted and confirmed"
            f" meanwhile; the history was complete {loop.time() - back:.0f} s after it was back"
        )
        return order_ids

    order_ids = run(stack, scenario)
    ends = assert_nothing_lost_nothing_swapped_twice(stack, order_ids)
    assert ends == {Status.CONFIRMED: len(order_ids)}


def test_with_postgres_away_for_five_seconds_none_is_refused_and_none_is_swapped_twice(
    stack: Stack, report: Report
) -> None:
    async def scenario(client: Client) -> set[str]:
        loop = asyncio.get_running_loop()
        async with following(stack) as follower:
            async with without_postgres(stack):
                order_ids = await stream(client, follower, BRIEFLY_SECONDS, ORDERS_MEANWHILE / BRIEFLY_SECONDS)
            back = loop.time()
            await asyncio.gather(*(follower.end(order_id, 60) for order_id in order_ids))
        confirmed = loop.time() - back
        await all_settled(stack, order_ids, 60)
        report(
            f"{len(order_ids)} orders while Postgres was away, none refused; it was back {confirmed:.0f} s before the"
            f" last was confirmed, and {loop.time() - back:.0f} s before the history was complete"
        )
        return order_ids

    order_ids = run(stack, scenario)
    ends = assert_nothing_lost_nothing_swapped_twice(stack, order_ids)
    assert ends == {Status.CONFIRMED: ORDERS_MEANWHILE}


def test_with_sqs_away_none_is_refused_and_all_that_is_accepted_is_confirmed(stack: Stack, report: Report) -> None:
    async def scenario(client: Client) -> set[str]:
        loop = asyncio.get_running_loop()
        async with proxied(stack, Random(0)) as proxy, following(stack) as follower:
            first = await client.submit()
            await client.outcome(first["orderId"])
            assert proxy.troubles == 0

            proxy.weather = Weather(away=SQS)
            loop.call_later(BRIEFLY_SECONDS, setattr, proxy, "weather", FINE)
            order_ids = await stream(client, follower, BRIEFLY_SECONDS, ORDERS_MEANWHILE / BRIEFLY_SECONDS)
            refused, accepted = proxy.troubles, loop.time()
            assert refused >= BRIEFLY_SECONDS, "SQS was not away"
            # As the schedule does it every minute, a little sooner.
            await all_confirmed(stack, follower, order_ids)
            report(
                f"{len(order_ids)} orders from when SQS went away for {BRIEFLY_SECONDS:g} s, {refused} calls of it"
                f" found nobody, none refused; all confirmed {loop.time() - accepted:.0f} s after the last was accepted"
            )
            await all_settled(stack, order_ids, 60)
            return order_ids

    with deployed_again(stack):
        order_ids = run(stack, scenario)
    ends = assert_nothing_lost_nothing_swapped_twice(stack, order_ids)
    assert ends == {Status.CONFIRMED: ORDERS_MEANWHILE}


async def all_confirmed(stack: Stack, follower: Follower, order_ids: set[str]) -> None:
    ends = asyncio.gather(*(follower.end(order_id, 120) for order_id in order_ids))
    while not (await asyncio.wait([ends], timeout=10))[0]:
        await asyncio.to_thread(sweep, stack)
    assert {events[-1]["status"] for events in await ends} == {"confirmed"}


# Orders stay in flight long enough to be caught there, and still be there when a deploy is done.
TEN_IN_FLIGHT = {"OrdersPerWorker": "10", "LandingMinMs": "8000", "LandingMaxMs": "9000"}


def kill_workers(stack: Stack, how: signal.Signals) -> None:
    killed = workers(stack, "ExecuteOrder")
    assert killed, "no worker to be killed"
    for pid in killed:
        kill(pid, how)


def deploy_other_code(stack: Stack, **parameters: str) -> None:
    """From a copy of the project in which the worker's function is another."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("functions", "layers"):
            shutil.copytree(PROJECT / name, Path(folder, name))
        stack.template = Path(shutil.copy(TEMPLATE, folder))
        with Path(folder, "functions/execute_order/app.py").open("a") as code:
            code.write("CHANGED = True\n")
        before = worker_code(stack)
        try:
            stack.deploy(**parameters)
        finally:
            stack.template = TEMPLATE
        assert worker_code(stack) != before


def worker_code(stack: Stack) -> str:
    """The digest of what workers run."""
    functions = stack.client("lambda")
    (name,) = (
        each["FunctionName"] for each in functions.list_functions()["Functions"] if "Execute" in each["FunctionName"]
    )
    return str(functions.get_function_configuration(FunctionName=name, Qualifier="live")["CodeSha256"])


ENDS_OF_A_WORKER: dict[str, Callable[[Stack], None]] = {
    "kill -9": lambda stack: kill_workers(stack, signal.SIGKILL),
    "SIGTERM": lambda stack: kill_workers(stack, signal.SIGTERM),
    "a deploy of other parameters": lambda stack: stack.deploy(**TEN_IN_FLIGHT, QuoteDelayMs="60"),
    "a deploy of other code": lambda stack: deploy_other_code(stack, **TEN_IN_FLIGHT),
}


@needs_proc
def test_ten_orders_whose_worker_is_killed_or_replaced_in_flight_are_swapped_once_each_within_a_minute(
    stack: Stack, report: Report
) -> None:
    """One ten after the other; redelivery takes half a minute, and they wait for it together."""

    async def scenario(client: Client) -> set[str]:
        async with following(stack) as follower, asyncio.TaskGroup() as recovering:
            tens = []
            for name, end in ENDS_OF_A_WORKER.items():
                order_ids = await ten_in_flight(client, follower)
                at = asyncio.get_running_loop().time()
                await asyncio.to_thread(end, stack)
                in_flight = [order_id for order_id in order_ids if not is_ended(follower, order_id)]
                assert len(in_flight) == 10, name
                tens.append(order_ids)
                recovering.create_task(confirmed_within_a_minute(name, order_ids, at, follower))
        order_ids = set().union(*tens)
        await all_settled(stack, order_ids, 30)
        return order_ids

    async def confirmed_within_a_minute(name: str, order_ids: set[str], at: float, follower: Follower) -> None:
        loop = asyncio.get_running_loop()
        ends = [await follower.end(order_id, at + 60 - loop.time()) for order_id in order_ids]
        assert {events[-1]["status"] for events in ends} == {"confirmed"}, name
        report(f"{name} with 10 orders in flight: all confirmed {loop.time() - at:.1f} s later")

    with deployed_again(stack):
        stack.deploy(**TEN_IN_FLIGHT)
        order_ids = run(stack, scenario)
    ends = assert_nothing_lost_nothing_swapped_twice(stack, order_ids)
    assert ends == {Status.CONFIRMED: 10 * len(ENDS_OF_A_WORKER)}


async def ten_in_flight(client: Client, follower: Follower) -> set[str]:
    """Ten orders, submitted to the chain by one worker."""
    with order_queue_held(client.stack):
        order_ids = await stream(client, follower, seconds=0.1, per_second=100)
    for order_id in order_ids:
        await client.reaches(order_id, "submitted")
    return order_ids


@contextmanager
def deployed_again(stack: Stack) -> Iterator[None]:
    """Whatever is deployed inside, it is as it was afterwards."""
    try:
        yield
    finally:
        stack.deploy()


def is_ended(follower: Follower, order_id: str) -> bool:
    return any(event["status"] in ENDINGS for event in follower.events[order_id])


@contextmanager
def order_queue_held(stack: Stack) -> Iterator[None]:
    """What is sent meanwhile is received at once afterwards, by as few workers as can take it."""
    functions = stack.client("lambda")
    mappings = functions.list_event_source_mappings()["EventSourceMappings"]
    mapping = next(each["UUID"] for each in mappings if "ExecuteOrder" in each["FunctionArn"])
    functions.update_event_source_mapping(UUID=mapping, Enabled=False)
    try:
        yield
    finally:
        functions.update_event_source_mapping(UUID=mapping, Enabled=True)
