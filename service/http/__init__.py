"""HTTP around every request: access, limits, reading and encoding."""
