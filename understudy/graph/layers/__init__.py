"""The graph inputs of exported layers, and running a layer over many nodes."""
