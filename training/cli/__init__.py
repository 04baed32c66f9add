"""The commands of training; importing one loads no torch."""
