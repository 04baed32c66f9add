"""Measures latency and goodput of the service at given rates and mixes, in an open loop."""
