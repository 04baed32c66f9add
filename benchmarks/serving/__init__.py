"""Starts services on a core of their own, makes requests, and sends them."""
