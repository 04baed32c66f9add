"""A causal language model as the teacher, exact for every model, in few passes per node.

`load` finds the weights (`weights`), adds adapters (`adapters`) and verifies answers (`check`);
`tokens` tokenises prompts and labels, `chains` finds shared prefixes of prompts, `shared` reads
them once, `plain` is one pass per label; `teacher` joins them.
"""

from training.teacher.causal.load import load_causal_teacher, precision_of
from training.teacher.causal.options import CausalOptions
from training.teacher.causal.teacher import CausalTeacher

__all__ = ["CausalOptions", "CausalTeacher", "load_causal_teacher", "precision_of"]
