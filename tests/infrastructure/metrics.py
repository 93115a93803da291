"""Which metrics there are: those of AWS that the template names, with the dimensions they come with, and our own."""

from __future__ import annotations

from order_engine.runtime.metrics import ERROR_CODE, NAMESPACE, SERVICE
from order_engine.service.ports import Metric

AWS_METRICS: dict[tuple[str, str], tuple[frozenset[str], str]] = {
    (namespace, metric): (frozenset(dimensions.split()), kind)
    for namespace, metrics, dimensions, kind in [
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible ApproximateAgeOfOldestMessage", "QueueName", "AWS::SQS::Queue"),
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html
        ("AWS/ApiGateway", "Count 4xx 5xx Latency", "ApiId", "HTTP"),
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-logging.html
        (
            "AWS/ApiGateway",
            "ConnectCount MessageCount ClientError ExecutionError IntegrationError",
            "ApiId",
            "WEBSOCKET",
        ),
        # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
        ("AWS/Lambda", "Errors Throttles Duration ConcurrentExecutions", "FunctionName", "AWS::Lambda::Function"),
        # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
        ("AWS/DynamoDB", "ConsumedReadCapacityUnits ConsumedWriteCapacityUnits", "TableName", "AWS::DynamoDB::Table"),
        ("AWS/DynamoDB", "ReadThrottleEvents WriteThrottleEvents", "TableName", "AWS::DynamoDB::Table"),
        ("AWS/DynamoDB", "SystemErrors", "TableName Operation", "AWS::DynamoDB::Table"),
        # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-metrics.html
        ("AWS/RDS", "DatabaseConnections", "DBInstanceIdentifier", "AWS::RDS::DBInstance"),
    ]
    for metric in metrics.split()
}
"""(namespace, metric) → its dimensions, and the type of resource, or protocol of API, that has it."""

OWN_METRICS = {(NAMESPACE, metric.value): frozenset({SERVICE}) for metric in Metric}
BY_ERROR_CODE = frozenset({SERVICE, ERROR_CODE})
INDEX = "GlobalSecondaryIndexName"
"""A further dimension of throttles, for those of an index."""
