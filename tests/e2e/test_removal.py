"""A stack that is deleted leaves nothing behind."""

from __future__ import annotations

from typing import Any

from local.stack import Stack
from order_client.cli.target import LOCAL_STACK
from tests.e2e.clients import Client, run
from tests.e2e.conftest import PARAMETERS
from tests.e2e.polling import poll
from tests.e2e.stacks import running_stack


def test_a_stack_that_has_executed_orders_is_removed_clean() -> None:
    with running_stack("removed", PARAMETERS) as stack:
        assert all(what_there_is(stack).values()), what_there_is(stack)
        run(stack, an_order_confirmed)
        formation = stack.client("cloudformation")
        formation.delete_stack(StackName=LOCAL_STACK)
        poll(lambda: stack_states(formation), until=lambda states: states <= {"DELETE_COMPLETE"})
        left = {kind: names for kind, names in what_there_is(stack).items() if names}
        assert left == {}


async def an_order_confirmed(client: Client) -> None:
    async with client.watch(tokenIn="SOL", tokenOut="USDC", amount="1.5") as watch:
        assert (await watch.end())[-1]["status"] == "confirmed"


def stack_states(formation: Any) -> set[str]:
    return {stack["StackStatus"] for stack in formation.list_stacks()["StackSummaries"]}


def what_there_is(stack: Stack) -> dict[str, list[str]]:
    """Names by kind, in an emulator that has nothing but this stack."""
    functions = stack.client("lambda")
    return {
        "functions": [each["FunctionName"] for each in functions.list_functions()["Functions"]],
        "layers": [each["LayerName"] for each in functions.list_layers()["Layers"]],
        "event sources": [each["UUID"] for each in functions.list_event_source_mappings()["EventSourceMappings"]],
        "tables": stack.client("dynamodb").list_tables()["TableNames"],
        "queues": stack.client("sqs").list_queues().get("QueueUrls", []),
        "APIs": [each["Name"] for each in stack.client("apigatewayv2").get_apis()["Items"]],
        "rules": [each["Name"] for each in stack.client("events").list_rules()["Rules"]],
        "roles": [each["RoleName"] for each in stack.client("iam").list_roles()["Roles"]],
        "topics": [each["TopicArn"] for each in stack.client("sns").list_topics()["Topics"]],
        "alarms": [each["AlarmName"] for each in stack.client("cloudwatch").describe_alarms()["MetricAlarms"]],
        "log groups": [each["logGroupName"] for each in stack.client("logs").describe_log_groups()["logGroups"]],
    }
