"""Latency and goodput of the service at given rates and mixes of requests, in an open loop."""
