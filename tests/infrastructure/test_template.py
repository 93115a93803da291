"""The template keeps its own promises, and the ones the code relies on."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from order_engine.adapters.migrations import CONNECT_SECONDS, STATEMENT_SECONDS
from order_engine.domain.orders import MAX_ATTEMPTS
from order_engine.runtime.migrate_database import PAUSE_SECONDS, TRIES
from tests.infrastructure.stack import EMULATED, FUNCTIONS, LAYER, SOURCE, VARIANTS, Stack, stack_with, target

DEFAULT = stack_with()

in_every_variant = pytest.mark.parametrize(
    "stack", [stack_with(**parameters).decided for parameters in VARIANTS.values()], ids=list(VARIANTS)
)

POWERTOOLS = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_LOG_LEVEL"}
DATABASE = {"DATABASE_URL", "DATABASE_SECRET_ARN"}
EMULATOR = {"FAULT_POINTS", "AWS_ENDPOINT_URL"}
MARKET = {"MARKET_SEED", "QUOTE_DELAY_MS", "LANDING_MIN_MS", "LANDING_MAX_MS", "REVERT_RATE", "DROP_RATE"}

VARIABLES = {
    "SubmitOrder": POWERTOOLS
    | EMULATOR
    | DATABASE
    | {"ORDERS_TABLE", "ORDER_QUEUE_URL", "STATUS_QUEUE_URL"}
    | {"ORDER_DEAD_LETTER_QUEUE_URL", "MARKET_SEED", "QUOTE_DELAY_MS", "WEBSOCKET_ENDPOINT"},
    "ExecuteOrder": POWERTOOLS
    | EMULATOR
    | MARKET
    | DATABASE
    | {"ORDERS_TABLE", "LEDGER_TABLE", "ORDER_QUEUE_URL", "STATUS_QUEUE_URL"},
    "WsConnect": POWERTOOLS | EMULATOR | {"ORDERS_TABLE", "ORDER_QUEUE_URL", "STATUS_QUEUE_URL", "WEBSOCKET_ENDPOINT"},
    "WsNotify": POWERTOOLS | EMULATOR | {"ORDERS_TABLE", "STATUS_QUEUE_URL", "WEBSOCKET_ENDPOINT"},
    "WatchOrders": POWERTOOLS | EMULATOR | {"ORDERS_TABLE", "ORDER_QUEUE_URL"},
    "MigrateDatabase": POWERTOOLS | DATABASE,
}

OUTPUTS = {
    "HttpUrl",
    "WebSocketUrl",
    "OrderQueueUrl",
    "OrderDeadLetterQueueUrl",
    "StatusQueueUrl",
    "StatusDeadLetterQueueUrl",
    "OrdersTableName",
    "LedgerTableName",
    "DashboardUrl",
    "AlarmTopicArn",
    "DatabaseHost",
    "DatabaseSecretArn",
}


def test_the_functions_are_the_known_ones() -> None:
    assert DEFAULT.of_type("AWS::Lambda::Function").keys() == FUNCTIONS.keys()


@in_every_variant
def test_every_queue_has_a_dead_letter_queue_of_its_kind_or_is_one(stack: Stack) -> None:
    queues = stack.of_type("AWS::SQS::Queue")
    dead_letters = {name: target(q["RedrivePolicy"]["deadLetterTargetArn"]) for name, q in _redriven(queues).items()}

    assert dead_letters == {"OrderQueue": "OrderDeadLetterQueue", "StatusQueue": "StatusDeadLetterQueue"}
    assert queues.keys() == dead_letters.keys() | set(dead_letters.values())
    for source, dead_letter in dead_letters.items():
        assert queues[source].get("FifoQueue") == queues[dead_letter].get("FifoQueue")


def test_a_dead_letter_outlives_its_first_queue() -> None:
    """The age of a message counts from its first send; four days is what SQS keeps by default."""
    queues = DEFAULT.of_type("AWS::SQS::Queue")
    for source in _redriven(queues).values():
        dead_letter = queues[target(source["RedrivePolicy"]["deadLetterTargetArn"])]
        assert dead_letter["MessageRetentionPeriod"] == 14 * 86_400
        assert source.get("MessageRetentionPeriod", 4 * 86_400) < dead_letter["MessageRetentionPeriod"]


def test_an_order_is_received_as_often_as_it_may_be_attempted() -> None:
    assert DEFAULT.of_type("AWS::SQS::Queue")["OrderQueue"]["RedrivePolicy"]["maxReceiveCount"] == MAX_ATTEMPTS


def test_every_queue_is_encrypted() -> None:
    assert all(queue["SqsManagedSseEnabled"] is True for queue in DEFAULT.of_type("AWS::SQS::Queue").values())


def test_the_status_queue_is_first_in_first_out_with_high_throughput() -> None:
    queue = DEFAULT.of_type("AWS::SQS::Queue")["StatusQueue"]
    assert queue["FifoQueue"] is True
    assert (queue["DeduplicationScope"], queue["FifoThroughputLimit"]) == ("messageGroup", "perMessageGroupId")


@in_every_variant
def test_a_message_stays_hidden_for_as_long_as_its_function_may_run(stack: Stack) -> None:
    queues = stack.of_type("AWS::SQS::Queue")
    sources = stack.event_sources()
    assert sources.keys() == {"ExecuteOrder", "WsNotify"}
    for function, source in sources.items():
        queue = queues[target(source["EventSourceArn"])]
        assert queue["VisibilityTimeout"] >= stack.function(function)["Timeout"]


@in_every_variant
def test_batches_report_the_messages_that_failed(stack: Stack) -> None:
    for source in stack.event_sources().values():
        assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


@in_every_variant
def test_ten_orders_execute_at_a_time(stack: Stack) -> None:
    source = stack.event_sources()["ExecuteOrder"]
    assert stack.function("ExecuteOrder")["ReservedConcurrentExecutions"] == {"Ref": "Workers"}
    assert source["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "Workers"}}
    assert source["BatchSize"] == {"Ref": "OrdersPerWorker"}
    assert SOURCE["Parameters"]["Workers"]["Default"] == 10
    assert SOURCE["Parameters"]["OrdersPerWorker"]["Default"] == 1


def test_an_account_that_can_reserve_nothing_keeps_to_its_workers_all_the_same() -> None:
    stack = stack_with(ReserveWorkers="off").decided
    assert "ReservedConcurrentExecutions" not in stack.function("ExecuteOrder")
    assert stack.event_sources()["ExecuteOrder"]["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "Workers"}}
    # What an event source takes at least.
    assert SOURCE["Parameters"]["Workers"]["MinValue"] == 2


@in_every_variant
def test_every_function_logs_to_a_group_that_forgets(stack: Stack) -> None:
    groups = stack.of_type("AWS::Logs::LogGroup")
    used = {name: target(stack.function(name)["LoggingConfig"]["LogGroup"]) for name in FUNCTIONS}
    database = {"DatabaseLogs", "DatabaseUpgradeLogs"} if "DatabaseIsOwn" in stack.conditions else set()
    assert len(set(used.values())) == len(FUNCTIONS)
    assert groups.keys() == set(used.values()) | database | {"HttpApiLogs", "WebSocketApiLogs"}
    assert all(group["RetentionInDays"] == 30 for group in groups.values())


@in_every_variant
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_given_exactly_its_variables(stack: Stack, function: str) -> None:
    assert stack.variables(function).keys() == VARIABLES[function]


@pytest.mark.parametrize(("function", "module"), FUNCTIONS.items())
def test_variables_and_settings_are_in_step(function: str, module: str) -> None:
    """What a composition root reads it is given, and what it is given somebody reads."""
    root = (LAYER / "order_engine" / "runtime" / f"{module}.py").read_text()
    shared = "".join(path.read_text() for path in (LAYER / "order_engine" / "runtime").glob("*.py"))
    assert set(_variables_read(root)) <= VARIABLES[function]
    assert VARIABLES[function] <= set(_variables_read(root)) | set(_variables_read(shared))


def test_the_parameters_of_the_market_reach_the_worker() -> None:
    variables = DEFAULT.variables("ExecuteOrder")
    assert {name: target(variables[name]) for name in MARKET} == {
        "MARKET_SEED": "MarketSeed",
        "QUOTE_DELAY_MS": "QuoteDelayMs",
        "LANDING_MIN_MS": "LandingMinMs",
        "LANDING_MAX_MS": "LandingMaxMs",
        "REVERT_RATE": "RevertRate",
        "DROP_RATE": "DropRate",
    }


def test_the_emulator_is_declared_so_that_sam_local_can_override_it() -> None:
    for function in FUNCTIONS.keys() - {"MigrateDatabase"}:
        assert DEFAULT.variables(function)["AWS_ENDPOINT_URL"] == {"Ref": "AwsEndpointUrl"}
    assert SOURCE["Parameters"]["AwsEndpointUrl"]["Default"] == ""


def test_faults_need_an_emulator() -> None:
    assert SOURCE["Parameters"]["FaultPoints"]["Default"] == "off"
    rule = SOURCE["Rules"]["FaultPointsNeedAnEmulator"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "FaultPoints"}, "on"]}
    assert rule["Assertions"][0]["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "AwsEndpointUrl"}, ""]}]}


def test_a_stack_on_aws_is_open_to_the_world_on_purpose_only() -> None:
    rule = SOURCE["Rules"]["OpenToTheWorldIsMeant"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "AwsEndpointUrl"}, ""]}
    assert rule["Assertions"][0]["Assert"] == {"Fn::Equals": [{"Ref": "OpenToTheWorld"}, "on"]}
    assert SOURCE["Parameters"]["OpenToTheWorld"]["Default"] == "off"


def test_the_orders_table_has_the_keys_and_indexes_of_the_repository() -> None:
    table = DEFAULT.of_type("AWS::DynamoDB::Table")["OrdersTable"]
    assert _key(table) == ("pk", "sk")
    assert {index["IndexName"]: _key(index) for index in table["GlobalSecondaryIndexes"]} == {
        "live": ("live", "position"),
        "liveByUser": ("liveUser", "position"),
        "byConnection": ("connectionId", "orderId"),
    }
    assert all(index["Projection"] == {"ProjectionType": "KEYS_ONLY"} for index in table["GlobalSecondaryIndexes"])


def test_tables_are_billed_by_request_and_forget_by_ttl() -> None:
    for table in DEFAULT.of_type("AWS::DynamoDB::Table").values():
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        assert table["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}


def test_data_can_be_restored_to_any_second() -> None:
    for table in DEFAULT.of_type("AWS::DynamoDB::Table").values():
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


@pytest.mark.parametrize(("setting", "is_protected"), [("on", True), ("off", False)])
def test_data_refuses_to_be_deleted_unless_told_otherwise(setting: str, is_protected: bool) -> None:
    stack = stack_with(ProtectData=setting).decided
    tables = stack.of_type("AWS::DynamoDB::Table")
    assert {name: table["DeletionProtectionEnabled"] for name, table in tables.items()} == {
        "OrdersTable": is_protected,
        "LedgerTable": is_protected,
    }
    assert stack.of_type("AWS::RDS::DBInstance")["Database"]["DeletionProtection"] is is_protected
    assert {stack.resources[name]["UpdateReplacePolicy"] for name in tables} == {"Retain"}
    assert SOURCE["Parameters"]["ProtectData"]["Default"] == "on"


def test_on_aws_queues_are_reached_by_tls_only() -> None:
    (policy,) = DEFAULT.of_type("AWS::SQS::QueuePolicy").values()
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert {target(queue) for queue in policy["Queues"]} == DEFAULT.of_type("AWS::SQS::Queue").keys()
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "sqs:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert not stack_with(**EMULATED).of_type("AWS::SQS::QueuePolicy")


def test_all_websocket_routes_lead_to_one_function() -> None:
    routes = {route["RouteKey"] for route in DEFAULT.of_type("AWS::ApiGatewayV2::Route").values()}
    assert routes == {"$connect", "$disconnect", "$default"}
    for integration in DEFAULT.of_type("AWS::ApiGatewayV2::Integration").values():
        assert '{"Ref": "WsConnectAliaslive"}' in json.dumps(integration["IntegrationUri"])


def test_both_apis_are_throttled() -> None:
    stages = DEFAULT.of_type("AWS::ApiGatewayV2::Stage")
    assert {stage["StageName"] for stage in stages.values()} == {"$default", "live"}
    for stage in stages.values():
        assert stage["DefaultRouteSettings"] == {
            "ThrottlingRateLimit": {"Ref": "RequestsPerSecond"},
            "ThrottlingBurstLimit": {"Ref": "RequestBurst"},
        }


def test_each_api_logs_who_came_and_nothing_that_they_said() -> None:
    stages = stack_with(WebSocketAccessLogs="on").decided.of_type("AWS::ApiGatewayV2::Stage").values()
    logs = {stage["StageName"]: stage["AccessLogSettings"] for stage in stages}
    assert {name: target(log["DestinationArn"]) for name, log in logs.items()} == {
        "$default": "HttpApiLogs",
        "live": "WebSocketApiLogs",
    }
    for log in logs.values():
        fields = json.loads(log["Format"])
        assert fields.keys() >= {"requestId", "time", "ip", "status", "ms", "error"}
        assert not re.search(r"query|header|body|authorizer", log["Format"], re.IGNORECASE)


def test_a_websocket_api_logs_only_where_the_account_lets_it() -> None:
    live = next(
        stage for stage in DEFAULT.decided.of_type("AWS::ApiGatewayV2::Stage").values() if stage["StageName"] == "live"
    )
    assert "AccessLogSettings" not in live
    assert SOURCE["Parameters"]["WebSocketAccessLogs"]["Default"] == "off"


def test_pages_of_other_origins_call_the_http_api_only_where_told_so() -> None:
    given = stack_with(CorsOrigins="https://a.example.com,https://b.example.com").decided
    cors = given.of_type("AWS::ApiGatewayV2::Api")["HttpApi"]["Body"]["x-amazon-apigateway-cors"]
    assert cors["allowOrigins"] == {"Fn::Split": [",", "https://a.example.com,https://b.example.com"]}
    assert cors["allowHeaders"] == ["content-type", "idempotency-key"]
    assert "allowCredentials" not in cors
    none = DEFAULT.decided.of_type("AWS::ApiGatewayV2::Api")["HttpApi"]["Body"]
    assert "x-amazon-apigateway-cors" not in none


def test_own_names_lead_to_both_apis_and_are_what_people_are_told() -> None:
    stack = stack_with(**VARIANTS["own names"]).decided
    mappings = stack.of_type("AWS::ApiGatewayV2::ApiMapping")
    assert {name: target(one["ApiId"]) for name, one in mappings.items()} == {
        "HttpDomainMapping": "HttpApi",
        "WebSocketDomainMapping": "WebSocketApi",
    }
    stages = stack.of_type("AWS::ApiGatewayV2::Stage")
    assert {stages[target(one["Stage"])]["StageName"] for one in mappings.values()} == {"$default", "live"}
    # As under API Gateway's own name, the path of the WebSocket API begins with its stage.
    assert mappings["WebSocketDomainMapping"]["ApiMappingKey"] == "live"
    assert stack.variables("SubmitOrder")["WEBSOCKET_ENDPOINT"] == {"Fn::Sub": "https://${WebSocketDomainName}/live"}
    for domain in stack.of_type("AWS::ApiGatewayV2::DomainName").values():
        assert [one["SecurityPolicy"] for one in domain["DomainNameConfigurations"]] == ["TLS_1_2"]
    assert len(stack.of_type("AWS::Route53::RecordSet")) == 2
    assert not stack_with().of_type("AWS::ApiGatewayV2::DomainName")


def test_names_of_a_zone_elsewhere_are_made_by_their_owner() -> None:
    stack = stack_with(**VARIANTS["own names"] | {"HostedZoneId": ""})
    assert not stack.of_type("AWS::Route53::RecordSet")
    assert len(stack.of_type("AWS::ApiGatewayV2::DomainName")) == 2


@pytest.mark.parametrize(("setting", "mode"), [("on", "Active"), ("off", "PassThrough")])
def test_invocations_are_traced_where_told_so(setting: str, mode: str) -> None:
    stack = stack_with(Tracing=setting).decided
    assert {stack.function(name)["TracingConfig"]["Mode"] for name in FUNCTIONS} == {mode}


def test_new_versions_come_gradually_where_told_so() -> None:
    gradual = stack_with(GradualDeployment="on").decided
    groups = gradual.of_type("AWS::CodeDeploy::DeploymentGroup")
    assert groups.keys() == {f"{name}DeploymentGroup" for name in gradual.aliases().values()}
    for group in groups.values():
        assert "Canary10Percent5Minutes" in str(group["DeploymentConfigName"])
        watched = [alarm["Name"]["Ref"] for alarm in group["AlarmConfiguration"]["Alarms"]]
        assert watched == ["FunctionErrors", "StatusQueueAge"]
        assert set(watched) <= gradual.of_type("AWS::CloudWatch::Alarm").keys()
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
    kinds = {one["Type"] for one in DEFAULT.resources.values()}
    assert not [kind for kind in kinds if kind.startswith("AWS::CodeDeploy")]


def test_the_schema_is_migrated_again_whenever_the_layer_changes() -> None:
    """SAM names a layer version by its content, so a reference to it changes with the migrations inside."""
    (layer,) = DEFAULT.of_type("AWS::Lambda::LayerVersion")
    schema = DEFAULT.of_type("Custom::DatabaseSchema")["DatabaseSchema"]
    assert target(schema["ServiceToken"]) == "MigrateDatabase"
    assert target(schema["Migrations"]) == layer != "CommonLayer"
    assert schema["ServiceTimeout"] > DEFAULT.function("MigrateDatabase")["Timeout"]


def test_the_slowest_migration_still_says_how_it_ended() -> None:
    """A new database that comes at the last try, another deploy that has the lock, and then a long statement."""
    waiting = (TRIES - 1) * PAUSE_SECONDS + TRIES * CONNECT_SECONDS
    assert DEFAULT.function("MigrateDatabase")["Timeout"] > waiting + 2 * STATEMENT_SECONDS


def test_the_outputs_are_all_there() -> None:
    assert SOURCE["Outputs"].keys() == OUTPUTS


def test_the_console_asks_for_every_parameter_once_and_in_a_group() -> None:
    groups = SOURCE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    asked = [name for group in groups for name in group["Parameters"]]
    assert sorted(asked) == sorted(SOURCE["Parameters"])


def test_every_parameter_is_described_and_every_optional_one_valid_by_default() -> None:
    for name, parameter in SOURCE["Parameters"].items():
        assert parameter["Description"], name
        if "Default" in parameter and "AllowedPattern" in parameter:
            assert re.fullmatch(parameter["AllowedPattern"], parameter["Default"]), name


def test_no_default_is_a_secret() -> None:
    secret = {name for name, parameter in SOURCE["Parameters"].items() if parameter.get("NoEcho")}
    assert secret == {"DatabaseUrl"}
    assert not any(SOURCE["Parameters"][name].get("Default") for name in secret)
    with_password = r"://[^/\s]*:[^/\s]*@"
    assert not re.search(with_password, json.dumps([SOURCE["Globals"], SOURCE["Resources"]]))
    assert not any(re.search(with_password, str(p.get("Default", ""))) for p in SOURCE["Parameters"].values())


def _redriven(queues: dict[str, Any]) -> dict[str, Any]:
    return {name: queue for name, queue in queues.items() if "RedrivePolicy" in queue}


def _key(table: dict[str, Any]) -> tuple[str, ...]:
    return tuple(key["AttributeName"] for key in table["KeySchema"])


def _variables_read(source: str) -> Iterator[str]:
    """Names passed first to a method, as in `settings.text("ORDERS_TABLE")` and `variables.get("FAULT_POINTS")`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(), args=[ast.Constant(value=str(name)), *_]):
                if re.fullmatch(r"[A-Z]+(_[A-Z]+)+", name):
                    yield name


def test_parameters_reach_functions_under_sam_local_too() -> None:
    """SAM CLI 1.167 leaves a variable empty whose parameter's default is a YAML fraction."""
    assert not [name for name, declared in SOURCE["Parameters"].items() if isinstance(declared.get("Default"), float)]
