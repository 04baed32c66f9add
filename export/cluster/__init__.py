"""Export's passes over all nodes on a Ray cluster; Ray is imported only on demand."""
