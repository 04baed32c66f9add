"""Export's passes over all nodes on a cluster of Ray, which is imported when asked for."""
