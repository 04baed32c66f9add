"""Compares the service with other ways to serve a graph network, in one run.

Each rival has a file with its server, and a `Peer` that describes how to start it and ask it.
"""
