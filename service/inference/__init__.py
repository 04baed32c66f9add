"""From a request to its answers: look-ups, batches, deadlines, reloads."""
