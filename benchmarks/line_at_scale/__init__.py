"""Time, memory and disk of every stage, from a user's tables to a service, on a large graph."""
