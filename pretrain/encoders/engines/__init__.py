"""Engines: where the videos of a corpus are embedded."""
