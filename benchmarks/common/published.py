"""Figures that makers of decision models published in autumn 2026; none was measured here."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Published:
    name: str
    p50_ms: tuple[float, float]  # of an answer, least and most
    dollars: tuple[float, float] | None = None  # a million input tokens, least and most


HOSTED = Published("hosted decision models", (150, 430), (0.04, 0.10))
LOCAL = Published("small local decision models", (15, 100))
