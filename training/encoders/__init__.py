"""Text encoders: what turns a node's text into the student's input features."""
