"""Who is in the network of the stack's own database, who reaches whom there, and what the database keeps to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from order_engine.adapters.database import AMAZON_ROOTS
from tests.infrastructure.stack import FUNCTIONS, VARIANTS, Stack, stack_with, target

OWN = stack_with().decided
PROXIED = stack_with(**VARIANTS["own database behind a proxy"]).decided
ELSEWHERE = stack_with(**VARIANTS["database elsewhere"]).decided

both_ways_to_the_database = pytest.mark.parametrize("stack", [OWN, PROXIED], ids=["direct", "through the proxy"])

USE_DATABASE = {"SubmitOrder", "ExecuteOrder", "MigrateDatabase"}

NOWHERE = "127.0.0.1/32"

OF_LAMBDA_ITSELF = {"sqs:ReceiveMessage", "sqs:DeleteMessage"}
"""Event sources do that by the function's role, but from outside of its network."""

NETWORK_KINDS = ("AWS::EC2::", "AWS::RDS::", "AWS::IAM::ManagedPolicy")


def test_a_database_elsewhere_leaves_no_network_behind() -> None:
    assert not [one for one in ELSEWHERE.resources.values() if one["Type"].startswith(NETWORK_KINDS)]
    for name in FUNCTIONS:
        assert "VpcConfig" not in ELSEWHERE.function(name)


@both_ways_to_the_database
def test_functions_that_use_the_database_are_in_its_network_and_no_others(stack: Stack) -> None:
    networks = {name: stack.function(name).get("VpcConfig") for name in FUNCTIONS}
    inside = {
        "SubnetIds": [{"Ref": "SubnetA"}, {"Ref": "SubnetB"}],
        "SecurityGroupIds": [{"Ref": "FunctionSecurityGroup"}],
    }
    assert networks == {name: inside if name in USE_DATABASE else None for name in FUNCTIONS}


@both_ways_to_the_database
def test_no_way_leads_out_of_the_network(stack: Stack) -> None:
    kinds = {one["Type"] for one in stack.resources.values()}
    ways_out = {"InternetGateway", "NatGateway", "EgressOnlyInternetGateway", "VPCPeeringConnection", "Route", "EIP"}
    assert not kinds & {f"AWS::EC2::{way}" for way in ways_out}
    associated = stack.of_type("AWS::EC2::SubnetRouteTableAssociation").values()
    assert {one["SubnetId"]["Ref"] for one in associated} == {"SubnetA", "SubnetB"}
    zones = [subnet["AvailabilityZone"]["Fn::Select"][0] for subnet in stack.of_type("AWS::EC2::Subnet").values()]
    assert zones == [0, 1]


def test_functions_reach_the_database_and_the_services_and_nobody_reaches_more() -> None:
    assert set(_allowed(OWN)) == {
        ("out", "FunctionSecurityGroup", 443, "0.0.0.0/0"),
        ("out", "FunctionSecurityGroup", 5432, "DatabaseSecurityGroup"),
        ("in", "DatabaseSecurityGroup", 5432, "FunctionSecurityGroup"),
        ("out", "DatabaseSecurityGroup", 5432, NOWHERE),
        ("in", "EndpointSecurityGroup", 443, "FunctionSecurityGroup"),
        ("out", "EndpointSecurityGroup", 443, NOWHERE),
    }


def test_with_a_proxy_only_the_proxy_reaches_the_database() -> None:
    assert set(_allowed(PROXIED)) == {
        ("out", "FunctionSecurityGroup", 443, "0.0.0.0/0"),
        ("out", "FunctionSecurityGroup", 5432, "ProxySecurityGroup"),
        ("in", "ProxySecurityGroup", 5432, "FunctionSecurityGroup"),
        ("out", "ProxySecurityGroup", 5432, "DatabaseSecurityGroup"),
        ("in", "DatabaseSecurityGroup", 5432, "ProxySecurityGroup"),
        ("out", "DatabaseSecurityGroup", 5432, NOWHERE),
        ("in", "EndpointSecurityGroup", 443, "FunctionSecurityGroup"),
        ("out", "EndpointSecurityGroup", 443, NOWHERE),
    }


def test_interface_endpoints_answer_in_both_zones_under_the_usual_names() -> None:
    endpoints = OWN.of_type("AWS::EC2::VPCEndpoint")
    interfaces = {name for name, one in endpoints.items() if one.get("VpcEndpointType") == "Interface"}
    assert interfaces == {"SqsEndpoint", "SecretsManagerEndpoint"}
    for name in interfaces:
        assert endpoints[name]["PrivateDnsEnabled"] is True
        assert endpoints[name]["SubnetIds"] == [{"Ref": "SubnetA"}, {"Ref": "SubnetB"}]
        assert endpoints[name]["SecurityGroupIds"] == [{"Ref": "EndpointSecurityGroup"}]
    for name in endpoints.keys() - interfaces:
        assert endpoints[name]["RouteTableIds"] == [{"Ref": "RouteTable"}]


@pytest.mark.parametrize(
    ("endpoint", "service"),
    [("DynamoDbEndpoint", "dynamodb"), ("SqsEndpoint", "sqs"), ("SecretsManagerEndpoint", "secretsmanager")],
)
def test_an_endpoint_lets_through_what_roles_inside_allow_and_nothing_else(endpoint: str, service: str) -> None:
    (statement,) = OWN.of_type("AWS::EC2::VPCEndpoint")[endpoint]["PolicyDocument"]["Statement"]
    asked = [one for name in USE_DATABASE for one in _role_statements(OWN, name)]
    asked = [one for one in asked if any(action.startswith(f"{service}:") for action in _list(one["Action"]))]
    actions = {action for one in asked for action in _list(one["Action"])} - OF_LAMBDA_ITSELF
    resources = {target(resource).split("/index/")[0] for one in asked for resource in _list(one["Resource"])}

    assert set(_list(statement["Action"])) == actions
    assert {target(resource) for resource in _list(statement["Resource"])} >= resources
    assert not any("*" in action for action in _list(statement["Action"]))


def test_what_functions_call_has_an_endpoint() -> None:
    """Or nothing would answer them. Logs and network interfaces are Lambda's own business."""
    called = {
        action.split(":")[0]
        for name in USE_DATABASE
        for one in _role_statements(OWN, name)
        for action in _list(one["Action"])
    }
    assert called - {"logs", "ec2"} == {"dynamodb", "sqs", "secretsmanager"}


def test_the_migrations_can_answer_cloudformation() -> None:
    (statement,) = OWN.of_type("AWS::EC2::VPCEndpoint")["S3Endpoint"]["PolicyDocument"]["Statement"]
    text, names = statement["Resource"]["Fn::Sub"]
    assert statement["Action"] == "s3:PutObject"
    assert text == "arn:${AWS::Partition}:s3:::cloudformation-custom-resource-response-${Region}/*"
    assert names == {"Region": {"Fn::Join": ["", {"Fn::Split": ["-", {"Ref": "AWS::Region"}]}]}}


@both_ways_to_the_database
def test_functions_and_the_schema_come_after_all_that_their_calls_pass(stack: Stack) -> None:
    """And go before it: when the stack is deleted, the last answer still finds its way."""
    on_the_way = {
        *stack.of_type("AWS::EC2::VPCEndpoint"),
        *stack.of_type("AWS::EC2::SubnetRouteTableAssociation"),
        *stack.of_type("AWS::EC2::SecurityGroupEgress"),
        *stack.of_type("AWS::EC2::SecurityGroupIngress"),
        *stack.of_type("AWS::RDS::DBInstance"),
        *stack.of_type("AWS::RDS::DBProxyTargetGroup"),
        "DatabaseAccessPolicy",
    }
    for name in ("DatabaseSchema", "SubmitOrder", "ExecuteOrder"):
        assert on_the_way <= stack.needed_by(name), name


@both_ways_to_the_database
def test_functions_know_where_the_database_is_and_where_its_password(stack: Stack) -> None:
    for name in USE_DATABASE:
        variables = stack.variables(name)
        text, names = variables["DATABASE_URL"]["Fn::Sub"]
        assert text == "postgresql://${Host}:5432/orders?sslmode=verify-full"
        host = ["DatabaseProxy", "Endpoint"] if stack is PROXIED else ["Database", "Endpoint.Address"]
        assert names == {"Host": {"Fn::GetAtt": host}}
        assert target(variables["DATABASE_SECRET_ARN"]) == "Database/secret"


def test_a_url_that_is_given_is_all_that_functions_know() -> None:
    for name in USE_DATABASE:
        variables = ELSEWHERE.variables(name)
        assert (variables["DATABASE_URL"], variables["DATABASE_SECRET_ARN"]) == ({"Ref": "DatabaseUrl"}, "")


def test_the_database_is_private_encrypted_and_backed_up() -> None:
    (database,) = OWN.of_type("AWS::RDS::DBInstance").values()
    assert (database["Engine"], database["EngineVersion"], database["DBName"]) == ("postgres", "17", "orders")
    assert database["StorageEncrypted"] is True
    assert database["PubliclyAccessible"] is False
    assert database["DeletionProtection"] is True
    assert database["BackupRetentionPeriod"] == {"Ref": "DatabaseBackupDays"}
    assert database["ManageMasterUserPassword"] is True
    assert "MasterUserPassword" not in database
    (parameters,) = OWN.of_type("AWS::RDS::DBParameterGroup").values()
    assert (parameters["Family"], parameters["Parameters"]) == ("postgres17", {"rds.force_ssl": "1"})
    assert {OWN.resources["Database"][policy] for policy in ("DeletionPolicy", "UpdateReplacePolicy")} == {"Snapshot"}


def test_clients_know_the_root_that_the_database_is_vouched_for_by() -> None:
    (database,) = OWN.of_type("AWS::RDS::DBInstance").values()
    assert database["CACertificateIdentifier"] == "rds-ca-rsa2048-g1"
    assert "us-east-1 Root CA RSA2048 G1" in AMAZON_ROOTS.read_text()


def test_the_proxy_takes_tls_only_and_leads_to_the_database() -> None:
    (proxy,) = PROXIED.of_type("AWS::RDS::DBProxy").values()
    (targets,) = PROXIED.of_type("AWS::RDS::DBProxyTargetGroup").values()
    assert proxy["RequireTLS"] is True
    assert targets["DBInstanceIdentifiers"] == [{"Ref": "Database"}]
    assert not OWN.of_type("AWS::RDS::DBProxy")


def test_the_databases_own_logs_have_the_names_that_rds_gives_them() -> None:
    (database,) = OWN.of_type("AWS::RDS::DBInstance").values()
    text, names = database["DBInstanceIdentifier"]["Fn::Sub"]
    groups = [
        OWN.of_type("AWS::Logs::LogGroup")[name]["LogGroupName"]["Fn::Sub"]
        for name in ("DatabaseLogs", "DatabaseUpgradeLogs")
    ]
    assert groups == [[f"/aws/rds/instance/{text}/{log}", names] for log in database["EnableCloudwatchLogsExports"]]
    assert {"DatabaseLogs", "DatabaseUpgradeLogs"} <= OWN.needed_by("Database")


def _allowed(stack: Stack) -> Iterator[tuple[str, str, int, str]]:
    """Direction, group, port and other end of every rule."""
    for name, group in stack.of_type("AWS::EC2::SecurityGroup").items():
        # Without a rule for it, EC2 allows all that goes out.
        assert group["SecurityGroupEgress"], name
        for rule in group["SecurityGroupEgress"]:
            yield _rule("out", name, rule)
        for rule in group.get("SecurityGroupIngress", ()):
            yield _rule("in", name, rule)
    for rule in stack.of_type("AWS::EC2::SecurityGroupEgress").values():
        yield _rule("out", rule["GroupId"]["Ref"], rule)
    for rule in stack.of_type("AWS::EC2::SecurityGroupIngress").values():
        yield _rule("in", rule["GroupId"]["Ref"], rule)


def _rule(direction: str, group: str, rule: Any) -> tuple[str, str, int, str]:
    assert rule["IpProtocol"] == "tcp"
    assert rule["FromPort"] == rule["ToPort"]
    end = rule.get("CidrIp") or rule.get("SourceSecurityGroupId") or rule.get("DestinationSecurityGroupId")
    return direction, group, rule["FromPort"], end if isinstance(end, str) else end["Ref"]


def _role_statements(stack: Stack, function: str) -> Iterator[Any]:
    role = stack.of_type("AWS::IAM::Role")[target(stack.function(function)["Role"])]
    managed = stack.of_type("AWS::IAM::ManagedPolicy")
    policies = [*role["Policies"], *(managed[target(policy)] for policy in role["ManagedPolicyArns"])]
    for policy in policies:
        yield from policy["PolicyDocument"]["Statement"]


def _list(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]
