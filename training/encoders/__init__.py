"""Text encoders, which turn a node's text into the student's input features."""
