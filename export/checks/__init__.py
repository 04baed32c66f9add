"""What proves that exported networks compute what was trained."""
