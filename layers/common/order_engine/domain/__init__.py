"""What an order, a quote, a route and a swap are. Standard library only: no AWS, no clock, no randomness."""
