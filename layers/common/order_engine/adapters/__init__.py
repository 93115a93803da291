"""The ports made real: DynamoDB, SQS, the WebSocket API, Postgres, the venues and the simulated chain."""
