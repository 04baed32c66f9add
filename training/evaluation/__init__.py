"""The honest protocol: paired seeds, one test reading, controls, and a report of all of it."""
