"""Who may do what: one table, and the template agrees with it in both directions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tests.infrastructure.stack import ELSEWHERE, EMULATED, FUNCTIONS, VARIANTS, Stack, stack_with, target

Permission = tuple[str, str]

OWN_DATABASE = stack_with().decided
ELSEWHERE_DATABASE = stack_with(**ELSEWHERE).decided
WITH_FAULTS = stack_with(**EMULATED).decided

in_every_variant = pytest.mark.parametrize("variant", VARIANTS)

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
    | _on("OrderQueue", "sqs:SendMessage", "sqs:GetQueueAttributes")
    | _on("StatusQueue", "sqs:SendMessage", "sqs:GetQueueAttributes")
    | _on("OrderDeadLetterQueue", "sqs:GetQueueAttributes"),
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

USE_DATABASE = ("SubmitOrder", "ExecuteOrder", "MigrateDatabase")

NETWORK_PERMISSIONS = _on(
    "*",
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
)
"""For Lambda to connect a function to a network."""

TRACE_PERMISSIONS = _on("*", "xray:PutTraceSegments", "xray:PutTelemetryRecords")

NOT_FROM_CODE = {"Null": {"lambda:SourceFunctionArn": "true"}}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_do_exactly_what_it_does(function: str) -> None:
    assert set(_permissions(ELSEWHERE_DATABASE, function)) == PERMISSIONS[function]


@in_every_variant
@pytest.mark.parametrize("function", FUNCTIONS)
def test_only_a_database_of_the_stacks_own_takes_more(variant: str, function: str) -> None:
    stack = stack_with(**VARIANTS[variant]).decided
    own = "DatabaseIsOwn" in stack.conditions and function in USE_DATABASE
    more = _on("Database/secret", "secretsmanager:GetSecretValue") | NETWORK_PERMISSIONS if own else set()
    traces = TRACE_PERMISSIONS if "TracingIsOn" in stack.conditions else set()
    faults = FAULT_PERMISSIONS if "FaultPointsAreOn" in stack.conditions and function != "MigrateDatabase" else set()
    assert set(_permissions(stack, function)) == PERMISSIONS[function] | more | traces | faults


@pytest.mark.parametrize("function", USE_DATABASE)
def test_what_lambda_does_to_a_network_the_code_of_a_function_may_not(function: str) -> None:
    statements = list(_statements(OWN_DATABASE, function))
    wide = [statement for statement in statements if statement["Resource"] == "*"]
    assert [statement["Condition"] for statement in wide] == [NOT_FROM_CODE]
    assert not any("Condition" in statement for statement in statements if statement not in wide)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_fault_points_add_the_control_items_and_nothing_else(function: str) -> None:
    faults = set() if function == "MigrateDatabase" else FAULT_PERMISSIONS
    assert set(_permissions(WITH_FAULTS, function)) == PERMISSIONS[function] | faults


@in_every_variant
def test_every_role_is_assumed_by_one_function_only_or_by_the_proxy(variant: str) -> None:
    stack = stack_with(**VARIANTS[variant]).decided
    services = {target(stack.function(name)["Role"]): "lambda.amazonaws.com" for name in FUNCTIONS}
    assert len(services) == len(FUNCTIONS)
    proxies = stack.of_type("AWS::RDS::DBProxy").values()
    services |= {target(proxy["RoleArn"]): "rds.amazonaws.com" for proxy in proxies}
    groups = stack.of_type("AWS::CodeDeploy::DeploymentGroup").values()
    services |= {target(group["ServiceRoleArn"]): "codedeploy.amazonaws.com" for group in groups}

    roles = stack.of_type("AWS::IAM::Role")
    assert roles.keys() == services.keys()
    for name, role in roles.items():
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Effect"] == "Allow"
        # SAM writes lists of one for the role that it makes.
        assert list(_list(statement["Principal"]["Service"])) == [services[name]]
        assert list(_list(statement["Action"])) == ["sts:AssumeRole"]


def test_the_proxy_may_read_the_login_and_nothing_else() -> None:
    role = stack_with(**VARIANTS["own database behind a proxy"]).of_type("AWS::IAM::Role")["ProxyRole"]
    (policy,) = role["Policies"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Action"], target(statement["Resource"])) == ("secretsmanager:GetSecretValue", "Database/secret")


def test_no_permission_is_a_wildcard_but_for_connections_that_cannot_be_known() -> None:
    """Written out, so that a careless entry in the table above does not pass either."""
    everything = {permission for name in FUNCTIONS for permission in _permissions(WITH_FAULTS, name)}
    assert not any("*" in action for action, _ in everything)
    assert {resource for _, resource in everything if "*" in resource} == {CONNECTIONS}


def test_what_is_off_leaves_no_policy_behind() -> None:
    policies = {
        "own database": {"DatabaseAccessPolicy"},
        "own database behind a proxy": {"DatabaseAccessPolicy"},
        "database elsewhere": set(),
        "own names": {"DatabaseAccessPolicy", "TracingPolicy"},
        "emulator with faults": {"FaultPointsPolicy"},
    }
    for variant, parameters in VARIANTS.items():
        resources = stack_with(**parameters).resources
        kinds = {"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"}
        assert {name for name, one in resources.items() if one["Type"] in kinds} == policies[variant]


def _permissions(stack: Stack, function: str) -> Iterator[Permission]:
    for statement in _statements(stack, function):
        assert statement.keys() - {"Condition"} == {"Effect", "Action", "Resource"}
        assert statement["Effect"] == "Allow"
        yield from (
            (action, target(resource))
            for action in _list(statement["Action"])
            for resource in _list(statement["Resource"])
        )


def _statements(stack: Stack, function: str) -> Iterator[Any]:
    role_name = target(stack.function(function)["Role"])
    role = stack.of_type("AWS::IAM::Role")[role_name]
    managed = stack.of_type("AWS::IAM::ManagedPolicy")
    attached = [
        *(managed[target(reference)] for reference in role.get("ManagedPolicyArns", ())),
        *(
            policy
            for policy in stack.of_type("AWS::IAM::Policy").values()
            if role_name in {target(reference) for reference in policy["Roles"]}
        ),
    ]
    for policy in [*role["Policies"], *attached]:
        yield from policy["PolicyDocument"]["Statement"]


def _list(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]
