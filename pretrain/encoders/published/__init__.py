"""Encoders that others trained: where their weights come from, and how they are checked and loaded."""
