"""A student's networks in their served forms."""
