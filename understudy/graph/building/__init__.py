"""From a reader's records to a graph: what is wrong is repaired and counted, or refused."""
