"""The whole line on one large graph: time, memory and disk of each stage's own process."""
