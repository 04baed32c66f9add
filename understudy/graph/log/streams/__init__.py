"""The log as a Redis Stream, for processes on many machines."""
