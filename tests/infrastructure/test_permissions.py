"""Who may do what: one table, and the template agrees with it in both directions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tests.infrastructure.stack import FUNCTIONS, Stack, stack_with, target

Permission = tuple[str, str]

DEFAULT = stack_with()
WITH_FAULTS = stack_with(FaultPoints="on", AwsEndpointUrl="http://127.0.0.1:4566")

CONNECTIONS = "WebSocketApi/live/POST/@connections/*"


def _on(resource: str, *actions: str) -> set[Permission]:
    return {(action, resource) for action in actions}


def _logs(group: str) -> set[Permission]:
    return _on(group, "logs:CreateLogStream", "logs:PutLogEvents")


PERMISSIONS: dict[str, set[Permission]] = {
    "SubmitOrder": _logs("SubmitOrderLogs")
    | _on("OrdersTable", "dynamodb:PutItem", "dynamodb:GetItem", "dynamodb:BatchGetItem")
    | _on("OrdersTable/index/live", "dynamodb:Query")
    | _on("OrdersTable/index/liveByUser", "dynamodb:Query")
    | _on("OrderQueue", "sqs:SendMessage")
    | _on("StatusQueue", "sqs:SendMessage"),
    "ExecuteOrder": _logs("ExecuteOrderLogs")
    | _on("OrdersTable", "dynamodb:GetItem", "dynamodb:UpdateItem")
    | _on("LedgerTable", "dynamodb:BatchGetItem", "dynamodb:PutItem")
    | _on("OrderQueue", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
    | _on("OrderQueue", "sqs:ChangeMessageVisibility", "sqs:SendMessage")
    | _on("StatusQueue", "sqs:SendMessage"),
    "WsConnect": _logs("WsConnectLogs")
    | _on("OrdersTable", "dynamodb:PutItem", "dynamodb:GetItem", "dynamodb:BatchGetItem")
    | _on("OrdersTable", "dynamodb:DeleteItem")
    | _on("OrdersTable/index/liveByUser", "dynamodb:Query")
    | _on("OrdersTable/index/byConnection", "dynamodb:Query")
    | _on("OrderQueue", "sqs:SendMessage")
    | _on("StatusQueue", "sqs:SendMessage")
    | _on(CONNECTIONS, "execute-api:ManageConnections"),
    "WsNotify": _logs("WsNotifyLogs")
    | _on("OrdersTable", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem")
    | _on("OrdersTable", "dynamodb:DeleteItem", "dynamodb:Query")
    | _on("StatusQueue", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
    | _on("StatusQueue", "sqs:ChangeMessageVisibility", "sqs:SendMessage")
    | _on(CONNECTIONS, "execute-api:ManageConnections"),
    "WatchOrders": _logs("WatchOrdersLogs")
    | _on("OrdersTable", "dynamodb:BatchGetItem", "dynamodb:UpdateItem")
    | _on("OrdersTable/index/live", "dynamodb:Query")
    | _on("OrderQueue", "sqs:SendMessage"),
    "MigrateDatabase": _logs("MigrateDatabaseLogs"),
}

FAULT_PERMISSIONS = _on("OrdersTable", "dynamodb:UpdateItem")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_do_exactly_what_it_does(function: str) -> None:
    assert set(_permissions(DEFAULT, function)) == PERMISSIONS[function]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_fault_points_add_the_control_items_and_nothing_else(function: str) -> None:
    faults = set() if function == "MigrateDatabase" else FAULT_PERMISSIONS
    assert set(_permissions(WITH_FAULTS, function)) == PERMISSIONS[function] | faults


@pytest.mark.parametrize("stack", [DEFAULT, WITH_FAULTS], ids=["faults off", "faults on"])
def test_every_role_is_assumed_by_one_function_only(stack: Stack) -> None:
    roles = stack.of_type("AWS::IAM::Role")
    assert sorted(roles) == sorted(target(stack.function(name)["Role"]) for name in FUNCTIONS)
    for role in roles.values():
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement == {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }


def test_no_permission_is_a_wildcard_but_for_connections_that_cannot_be_known() -> None:
    """Written out, so that a careless entry in the table above does not pass either."""
    everything = {permission for name in FUNCTIONS for permission in _permissions(WITH_FAULTS, name)}
    assert not any("*" in action for action, _ in everything)
    assert {resource for _, resource in everything if "*" in resource} == {CONNECTIONS}


def test_fault_points_off_leave_no_policy_behind() -> None:
    assert DEFAULT.of_type("AWS::IAM::Policy") == {}
    assert WITH_FAULTS.of_type("AWS::IAM::Policy").keys() == {"FaultPointsPolicy"}


def test_no_policy_hangs_anywhere_else() -> None:
    for stack in (DEFAULT, WITH_FAULTS):
        kinds = {resource["Type"] for resource in stack.resources.values() if "Policy" in resource["Type"]}
        assert kinds <= {"AWS::IAM::Policy"}


def _permissions(stack: Stack, function: str) -> Iterator[Permission]:
    role_name = target(stack.function(function)["Role"])
    role = stack.of_type("AWS::IAM::Role")[role_name]
    assert "ManagedPolicyArns" not in role
    attached = [
        policy
        for policy in stack.of_type("AWS::IAM::Policy").values()
        if role_name in {target(reference) for reference in policy["Roles"]}
    ]
    for policy in [*role["Policies"], *attached]:
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement.keys() == {"Effect", "Action", "Resource"}
            assert statement["Effect"] == "Allow"
            yield from (
                (action, target(resource))
                for action in _list(statement["Action"])
                for resource in _list(statement["Resource"])
            )


def _list(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]
