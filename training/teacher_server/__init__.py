"""A trained teacher behind an OpenAI-compatible endpoint, in a process of its own with torch."""
