"""Changes of the graph, and the activations that they touch."""
