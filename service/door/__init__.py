"""The student behind the wires on which language models are asked for a decision."""
