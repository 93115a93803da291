"""Every alarm watches something that there is, tells somebody, and has a heading in the runbook."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from order_engine.runtime.metrics import EmfMetrics
from order_engine.service.ports import Metric
from tests.infrastructure.metrics import AWS_METRICS, BY_ERROR_CODE, INDEX, OWN_METRICS
from tests.infrastructure.stack import FUNCTIONS, ROOT, Stack, stack_with, target
from tests.infrastructure.test_permissions import PERMISSIONS

ON_AWS = stack_with(AlarmEmail="operator@example.com")
WITH_A_DATABASE_ELSEWHERE = stack_with(DatabaseUrl="postgresql://db.example/orders")
EMULATED = stack_with(DatabaseUrl="postgresql://127.0.0.1/orders", AwsEndpointUrl="http://127.0.0.1:4566")

ALARMS = ON_AWS.of_type("AWS::CloudWatch::Alarm")

each_alarm = pytest.mark.parametrize("name", ALARMS)


@dataclass(frozen=True)
class Watched:
    """A metric as an alarm or a graph names it; values of dimensions are what CloudFormation makes of them later."""

    namespace: str
    name: str
    dimensions: Mapping[str, Any]


def watched(alarm: dict[str, Any]) -> Iterator[Watched]:
    queries = alarm.get("Metrics", [])
    metrics = [query["MetricStat"]["Metric"] for query in queries if "MetricStat" in query] or [alarm]
    for metric in metrics:
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in metric["Dimensions"]}
        yield Watched(metric["Namespace"], metric["MetricName"], dimensions)


def assert_there_is(metric: Watched, stack: Stack) -> None:
    key, dimensions = (metric.namespace, metric.name), dict(metric.dimensions)
    if key in OWN_METRICS:
        assert dimensions.keys() == OWN_METRICS[key]
        assert dimensions["service"] == {"Ref": "AWS::StackName"}
        return
    wanted, kind = AWS_METRICS[key]
    index = dimensions.pop(INDEX, None)
    assert dimensions.keys() == wanted
    (dimension,) = wanted - {"Operation"}
    name = resource_named_by(dimension, dimensions.pop(dimension))
    assert kind_of(stack, name) == kind
    if index is not None:
        indexes = stack.resources[name]["Properties"]["GlobalSecondaryIndexes"]
        assert metric.name.endswith("ThrottleEvents")
        assert index in {each["IndexName"] for each in indexes}
    for operation in dimensions.values():
        assert operation in operations_on(name)


def resource_named_by(dimension: str, value: Any) -> str:
    """A queue's Ref would be its URL, and an alarm on that would never go off."""
    match dimension, value:
        case ("QueueName", {"Fn::GetAtt": [str(name), "QueueName"]}):
            return name
        case (other, {"Ref": str(name)}) if other != "QueueName":
            return name
    raise AssertionError(f"no resource's {dimension}: {value}")


def kind_of(stack: Stack, name: str) -> str:
    resource = stack.resources[name]
    if resource["Type"] == "AWS::ApiGatewayV2::Api":
        return str(resource["Properties"].get("ProtocolType", "HTTP"))
    return str(resource["Type"])


def operations_on(table: str) -> set[str]:
    """What functions may do with the table or its indexes, which is exactly what they do."""
    return {
        action.removeprefix("dynamodb:")
        for permissions in PERMISSIONS.values()
        for action, resource in permissions
        if resource.split("/")[0] == table
    }


@each_alarm
def test_an_alarm_watches_metrics_that_there_are(name: str) -> None:
    for metric in watched(ALARMS[name]):
        assert_there_is(metric, ON_AWS)


def test_the_runbook_has_a_heading_for_each_alarm_and_no_other() -> None:
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    sections = dict(re.findall(r"(?ms)^## (\w+)$\n(.*?)(?=^## |\Z)", runbook))
    assert sections.keys() == ALARMS.keys()
    for name, section in sections.items():
        assert re.findall(r"(?m)^\*\*(\w+)\*\*", section) == ["Means", "Look", "Do"], name
        assert ALARMS[name]["AlarmDescription"].endswith(f"(docs/runbook.md, {name})")


def test_the_runbook_names_every_metric_of_ours() -> None:
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    assert {name for name in Metric if f"`{name}`" in runbook} == set(Metric)


@each_alarm
def test_an_alarm_tells_the_topic_when_it_begins_and_when_it_is_over(name: str) -> None:
    assert ALARMS[name]["AlarmActions"] == ALARMS[name]["OKActions"] == [{"Ref": "AlarmTopic"}]
    assert ALARMS[name].get("ActionsEnabled", True) is True


def test_what_alarms_say_is_encrypted_by_a_key_that_cloudwatch_may_use() -> None:
    (topic,) = ON_AWS.of_type("AWS::SNS::Topic").values()
    key = ON_AWS.of_type("AWS::KMS::Key")[target(topic["KmsMasterKeyId"])]
    assert {
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
        "Resource": "*",
    } in key["KeyPolicy"]["Statement"]


def test_somebody_is_told_where_an_address_is_given() -> None:
    (subscription,) = ON_AWS.of_type("AWS::SNS::Subscription").values()
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", {"Ref": "AlarmEmail"})
    assert target(subscription["TopicArn"]) == "AlarmTopic"
    assert stack_with().of_type("AWS::SNS::Subscription") == {}


@each_alarm
def test_an_alarm_says_what_silence_means(name: str) -> None:
    """Only the sweep writes its metric in any case: nothing else is wrong when nothing comes."""
    expected = {"OldestLiveOrder": "breaching", "DatabaseConnections": "missing"}.get(name, "notBreaching")
    assert ALARMS[name]["TreatMissingData"] == expected


@each_alarm
def test_a_sum_of_metrics_is_one_that_cloudwatch_takes(name: str) -> None:
    """At most ten metrics, of one period, and one expression that is looked at."""
    queries = ALARMS[name].get("Metrics", [])
    if queries:
        assert not {"MetricName", "Namespace", "Dimensions", "Statistic", "Period"} & ALARMS[name].keys()
        (looked_at,) = [query for query in queries if query.get("ReturnData", True)]
        assert looked_at == {"Id": "all", "Expression": "SUM(FILL(METRICS(), 0))"}
        stats = [query["MetricStat"] for query in queries if query is not looked_at]
        assert 1 < len(stats) <= 10
        assert {stat["Stat"] for stat in stats} == {"Sum"}
        assert len({stat["Period"] for stat in stats}) == 1
        assert len({query["Id"] for query in queries}) == len(queries)


def test_an_alarm_of_ours_is_of_a_metric_as_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    (metric,) = watched(ALARMS["OldestLiveOrder"])
    metrics = EmfMetrics("stack")
    with metrics.invocation():
        metrics.add(Metric.OLDEST_LIVE_ORDER_AGE, 7)
    line = json.loads(capsys.readouterr().out)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert metric.namespace == directive["Namespace"]
    assert metric.name in {each["Name"] for each in directive["Metrics"]}
    assert directive["Dimensions"] == [list(metric.dimensions)] == [["service"]]


def test_every_function_writes_its_metrics_and_its_logs_under_the_name_of_the_stack() -> None:
    for function in FUNCTIONS:
        assert ON_AWS.variables(function)["POWERTOOLS_SERVICE_NAME"] == {"Ref": "AWS::StackName"}


def test_errors_are_noticed_while_a_gradual_deployment_can_still_be_stopped() -> None:
    """Five minutes, by its type: Canary10Percent5Minutes."""
    alarm = ALARMS["FunctionErrors"]
    period = alarm["Metrics"][-1]["MetricStat"]["Period"]
    assert period * alarm["DatapointsToAlarm"] <= 150
    assert period * alarm["EvaluationPeriods"] <= 300


@pytest.mark.parametrize("alarm", ["FunctionErrors", "FunctionThrottles"])
def test_all_functions_are_watched(alarm: str) -> None:
    names = {resource_named_by("FunctionName", metric.dimensions["FunctionName"]) for metric in watched(ALARMS[alarm])}
    assert names == FUNCTIONS.keys()


def test_all_queues_are_watched() -> None:
    of_queues = [metric for alarm in ALARMS.values() for metric in watched(alarm) if metric.namespace == "AWS/SQS"]
    names = {resource_named_by("QueueName", metric.dimensions["QueueName"]) for metric in of_queues}
    assert names == ON_AWS.of_type("AWS::SQS::Queue").keys()


def test_every_call_to_a_table_and_every_index_is_watched() -> None:
    for table, properties in ON_AWS.of_type("AWS::DynamoDB::Table").items():
        errors = [each for each in watched(ALARMS["TableErrors"]) if each.dimensions["TableName"] == {"Ref": table}]
        assert {each.dimensions["Operation"] for each in errors} == operations_on(table)
        throttles = [m for m in watched(ALARMS["TableThrottles"]) if m.dimensions["TableName"] == {"Ref": table}]
        indexes = {index["IndexName"] for index in properties.get("GlobalSecondaryIndexes", [])}
        assert {m.dimensions.get(INDEX) for m in throttles if m.name == "WriteThrottleEvents"} == {None, *indexes}


def test_the_price_of_the_alarms_is_as_the_template_says() -> None:
    metrics = sum(len(list(watched(alarm))) for alarm in ALARMS.values())
    said = re.search(r"database, (\d+) metrics, \$([\d.]+)\.", (ROOT / "template.yaml").read_text())
    assert said
    assert said.groups() == (str(metrics), f"{metrics * 0.10:.2f}")


def test_a_database_that_is_not_the_stacks_own_is_not_watched() -> None:
    assert ALARMS.keys() - WITH_A_DATABASE_ELSEWHERE.of_type("AWS::CloudWatch::Alarm").keys() == {"DatabaseConnections"}


def test_the_emulator_is_spared_what_it_does_not_take_and_nothing_else() -> None:
    math = {name for name, alarm in ALARMS.items() if "Metrics" in alarm}
    assert ALARMS.keys() - EMULATED.of_type("AWS::CloudWatch::Alarm").keys() == {*math, "DatabaseConnections"}
    assert EMULATED.of_type("AWS::Logs::QueryDefinition") == EMULATED.of_type("AWS::CloudWatch::Dashboard") == {}


# The dashboard


def dashboard(stack: Stack) -> dict[str, Any]:
    """Its body, with references as they stand in it: ${OrderQueue.QueueName}."""
    (properties,) = stack.of_type("AWS::CloudWatch::Dashboard").values()
    text, parts = properties["DashboardBody"]["Fn::Sub"]
    for name, part in parts.items():
        text = text.replace(f"${{{name}}}", _chosen(part, stack))
    body: dict[str, Any] = json.loads(text)
    return body


def _chosen(part: Any, stack: Stack) -> str:
    match part:
        case {"Fn::If": [condition, yes, no]}:
            return _chosen(yes if condition in stack.conditions else no, stack)
        case {"Fn::Sub": str(text)}:
            return text
    return str(part)


def graphed(body: dict[str, Any]) -> Iterator[Watched]:
    for widget in body["widgets"]:
        for row in widget["properties"].get("metrics", []):
            if isinstance(row[0], str):
                namespace, name, *rest = (each for each in row if isinstance(each, str))
                pairs = zip(rest[::2], map(_reference, rest[1::2]), strict=True)
                yield Watched(namespace, name, dict(pairs))


def _reference(text: str) -> Any:
    named = re.fullmatch(r"\$\{([\w:]+)(?:\.(\w+))?\}", text)
    assert named, text
    return {"Ref": named[1]} if named[2] is None else {"Fn::GetAtt": [named[1], named[2]]}


@pytest.mark.parametrize("stack", [ON_AWS, WITH_A_DATABASE_ELSEWHERE], ids=["own database", "database elsewhere"])
def test_the_dashboard_shows_metrics_that_there_are_and_all_alarms(stack: Stack) -> None:
    body = dashboard(stack)
    for metric in graphed(body):
        assert_there_is(metric, stack)
    shown = [alarm for widget in body["widgets"] for alarm in widget["properties"].get("alarms", [])]
    assert sorted(shown) == sorted(f"${{{name}.Arn}}" for name in stack.of_type("AWS::CloudWatch::Alarm"))


def test_the_dashboard_shows_every_metric_of_ours() -> None:
    assert {metric.name for metric in graphed(dashboard(ON_AWS))} >= set(Metric)


def test_failures_are_searched_by_the_dimensions_that_they_are_written_with() -> None:
    assert json.dumps(dashboard(ON_AWS)).count("{OrderEngine,service,errorCode} MetricName=") == 1
    assert {"service", "errorCode"} == BY_ERROR_CODE


def test_no_widget_lies_on_another() -> None:
    taken: set[tuple[int, int]] = set()
    for widget in dashboard(ON_AWS)["widgets"]:
        columns = range(widget["x"], widget["x"] + widget["width"])
        cells = {(x, y) for x in columns for y in range(widget["y"], widget["y"] + widget["height"])}
        assert not cells & taken, widget
        assert max(columns) < 24
        taken |= cells
