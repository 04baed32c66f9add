"""The student: its network, its input tensors, and its files."""
