"""The language model on call: asked over HTTP, never loaded into this process."""
