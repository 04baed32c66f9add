"""Caches in process and in Redis; what they hold is named by its content and never goes stale."""
