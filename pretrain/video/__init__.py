"""Files to frames and sound."""
