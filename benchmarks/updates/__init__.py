"""Edge changes per second by batch size and student, on a graph of ogbn-arxiv's size."""
