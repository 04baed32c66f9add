"""The teacher, a language model: asked over HTTP, never loaded into this process."""
