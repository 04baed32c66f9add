"""Classify and change one graph with one model, in process: no HTTP, no asyncio."""
