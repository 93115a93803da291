"""What AWS asks, in dollars: us-east-1, on demand, first tier, without the free tier, looked up in November 2026.

https://aws.amazon.com/{dynamodb/pricing/on-demand,sqs/pricing,api-gateway/pricing,lambda/pricing,cloudwatch/pricing}
and, for what leaves AWS, https://aws.amazon.com/ec2/pricing/on-demand
"""

from __future__ import annotations

REGION = "us-east-1"
DATE = "2026-11"

_MILLION = 1_000_000

DYNAMODB_WRITE_UNIT = 0.625 / _MILLION
"""Up to 1 KB of the larger of the item before and after, and of each index entry that changes."""
DYNAMODB_READ_UNIT = 0.125 / _MILLION
"""Up to 4 KB, read consistently; half a unit otherwise."""
SQS_REQUEST = 0.40 / _MILLION
"""Sending, receiving, deleting; of up to ten messages and 64 KB together."""
SQS_FIFO_REQUEST = 0.50 / _MILLION
HTTP_API_REQUEST = 1.00 / _MILLION
WEBSOCKET_MESSAGE = 1.00 / _MILLION
"""Each 32 KB in either direction."""
WEBSOCKET_MINUTE = 0.25 / _MILLION
LAMBDA_REQUEST = 0.20 / _MILLION
LAMBDA_GB_SECOND = 0.0000166667
"""x86; billed by the millisecond."""
LOGS_GB = 0.50
"""CloudWatch Logs, ingestion."""
TRANSFER_OUT_GB = 0.09
