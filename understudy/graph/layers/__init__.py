"""What exported layers read of a graph, and how one is run over many of its nodes."""
