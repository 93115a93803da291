"""The order execution engine: domain, services, contracts, adapters and the runtime that wires them."""
