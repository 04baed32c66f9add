"""From a request to its answers."""
