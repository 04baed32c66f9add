"""A causal language model as the teacher: right for every model, and read once a node.

`load` finds the weights (`weights`), adds adapters (`adapters`) and makes sure that answers are
right (`check`); `tokens` makes prompts and labels ids, `chains` finds what prompts share, `shared`
reads it once, `plain` is a pass a label; `teacher` joins them.
"""

from training.teacher.causal.load import load_causal_teacher, precision_of
from training.teacher.causal.options import CausalOptions
from training.teacher.causal.teacher import CausalTeacher

__all__ = ["CausalOptions", "CausalTeacher", "load_causal_teacher", "precision_of"]
