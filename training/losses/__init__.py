"""What a student is trained towards: one function an objective, combined by weights."""
