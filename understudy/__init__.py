"""Distil a large language model into a graph network, export it to ONNX, and serve it."""
