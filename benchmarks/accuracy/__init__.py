"""Measures what distillation gains on real graphs: the accuracy of students with and without it."""
