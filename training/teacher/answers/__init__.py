"""A teacher's answers: on disk, in views, smoothed and joined, and as targets of a student."""
