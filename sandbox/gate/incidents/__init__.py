"""Stopping everything in seconds, what is owed until it is proved, and coming back."""
