"""Measurements of speed and quality; each prints and stores its table."""
