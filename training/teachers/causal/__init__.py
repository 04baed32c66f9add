"""A causal language model as the teacher."""

from training.teachers.causal.load import load_causal_teacher
from training.teachers.causal.teacher import CausalOptions, CausalTeacher

__all__ = ["CausalOptions", "CausalTeacher", "load_causal_teacher"]
