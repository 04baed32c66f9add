"""From a graph that is served back to a graph folder, on which a model can be trained anew."""
