"""Watch a stream for scenes that differ from a library of normal footage."""
