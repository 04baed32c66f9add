"""Serving a bundle over HTTP: FastAPI in front of `understudy.engine`. Never loads torch."""
