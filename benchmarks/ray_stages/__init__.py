"""Stages of the line by one worker and by two of a local cluster of Ray, in seconds."""
