"""What surrounds every request: who may ask, how much, and in which form."""
