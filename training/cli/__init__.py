"""The training commands; importing one does not load torch."""
