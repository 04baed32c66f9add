"""Times exported students against torch, and against the obvious way to export them."""
