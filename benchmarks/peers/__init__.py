"""What a person would serve instead, one file a rival, measured beside the service in one run.

Each file holds a rival's server, and a `Peer` that says how it is started and asked.
"""
