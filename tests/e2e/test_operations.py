"""What operators see of real orders: metrics that add up, a story by the order's id, and alarms in CloudWatch."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local.logs import lines_by_group
from local.stack import Stack
from order_client.cli.target import LOCAL_STACK
from tests.e2e.clients import Client, Json, run
from tests.e2e.polling import poll
from tests.infrastructure.test_alarms import EMULATED

CONFIRMED = 4
TOO_LARGE = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "900000"}


@dataclass(frozen=True)
class Reported:
    """Lines of log of all functions, at one moment."""

    lines: list[Json]

    @classmethod
    def since(cls, moment: float, stack: Stack) -> Reported:
        groups = lines_by_group(stack.client("logs"), moment).values()
        return cls([json.loads(line) for lines in groups for line in lines if line.startswith("{")])

    def values(self, metric: str, **dimensions: str) -> list[float]:
        """As CloudWatch would take them out of the lines: by namespace, name and exactly these dimensions."""
        wanted = {"service": LOCAL_STACK, **dimensions}
        return [
            value
            for line in self.lines
            for each in line.get("_aws", {}).get("CloudWatchMetrics", [])
            for names in each["Dimensions"]
            if each["Namespace"] == "OrderEngine" and {name: line[name] for name in names} == wanted
            if metric in {one["Name"] for one in each["Metrics"]}
            for value in line[metric]
        ]

    def count(self, metric: str) -> float:
        return sum(self.values(metric))

    def ended(self, status: str) -> int:
        """Orders that were said to have ended so."""
        return len([line for line in self.lines if line.get("message") == "order ended" and line["status"] == status])

    def story(self, order_id: str) -> list[str]:
        """What all functions said of the order; its request is answered at any time after it was accepted."""
        mine = (line for line in self.lines if line.get("order_id") == order_id)
        return [line["message"] for line in sorted(mine, key=lambda line: line["timestamp"])]


def test_metrics_add_up_and_an_orders_lines_tell_its_story(stack: Stack) -> None:
    started = time.time()

    async def watched(client: Client, **order: Any) -> tuple[Json, int]:
        order_id = (await client.submit(**order))["orderId"]
        async with client.watch(orderId=order_id) as watch:
            frames = len(await watch.end())
        return await client.outcome(order_id), frames

    async def scenario(client: Client) -> tuple[list[Json], int]:
        placed = [watched(client) for _ in range(CONFIRMED)]
        ended = await asyncio.gather(*placed, watched(client, **TOO_LARGE))
        return [order for order, _ in ended], sum(frames for _, frames in ended)

    orders, frames = run(stack, scenario)
    *confirmed, failed = orders
    assert {order["status"] for order in confirmed} == {"confirmed"}
    code = failed["events"][-1]["errorCode"]
    # Lines come when an invocation has ended. Orders of other tests may end meanwhile: they are counted as well.
    reported = poll(
        lambda: Reported.since(started, stack),
        until=lambda reported: (
            reported.count("OrdersConfirmed") == reported.ended("confirmed") >= CONFIRMED
            and reported.count("OrdersFailed") == reported.ended("failed") >= 1
            and reported.count("FramesPushed") >= frames
        ),
    )
    assert reported.count("OrdersAccepted") == len(orders)
    assert sum(reported.values("OrdersFailed", errorCode=code)) >= 1
    times = reported.values("TimeToConfirm")
    assert {milliseconds(order) for order in confirmed} <= set(times)
    assert len(times) == reported.count("OrdersConfirmed")
    for order in orders:
        told = reported.story(order["orderId"])
        assert told.count("request answered") == 1
        told.remove("request answered")
        of_its_swap = [] if order is failed else ["route chosen", "transaction on record"]
        of_its_failure = ["attempt failed"] if order is failed else []
        assert told == ["order accepted", *of_its_swap, *of_its_failure, "order ended"]


def milliseconds(order: Json) -> int:
    first, *_, last = (datetime.fromisoformat(event["timestamp"]) for event in order["events"])
    return round((last - first).total_seconds() * 1000)


def test_a_run_of_the_watch_says_how_old_the_oldest_order_is(stack: Stack) -> None:
    started = time.time()
    functions = stack.client("lambda").list_functions()["Functions"]
    (watch,) = (each["FunctionName"] for each in functions if "WatchOrders" in each["FunctionName"])
    stack.client("lambda").invoke(FunctionName=watch, Payload=b"{}")
    poll(lambda: Reported.since(started, stack).values("OldestLiveOrderAge"), until=bool)


def test_the_alarms_are_in_cloudwatch_and_would_tell_the_topic(stack: Stack) -> None:
    resources = stack.client("cloudformation").list_stack_resources(StackName=LOCAL_STACK)["StackResourceSummaries"]
    names = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in resources}
    wanted = EMULATED.of_type("AWS::CloudWatch::Alarm")
    alarms = {alarm["AlarmName"]: alarm for alarm in stack.client("cloudwatch").describe_alarms()["MetricAlarms"]}
    assert alarms.keys() == {names[logical_id] for logical_id in wanted}
    for logical_id, properties in wanted.items():
        alarm = alarms[names[logical_id]]
        assert alarm["AlarmActions"] == alarm["OKActions"] == [names["AlarmTopic"]]
        assert (alarm["Namespace"], alarm["MetricName"]) == (properties["Namespace"], properties["MetricName"])
        assert [dimension["Name"] for dimension in alarm["Dimensions"]] == [
            dimension["Name"] for dimension in properties["Dimensions"]
        ]
