"""The student: its network, the tensors that it reads, and how it lies on disk."""
