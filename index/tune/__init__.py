"""Approximate indexes, chosen by measurement."""
