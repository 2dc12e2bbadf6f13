"""Typed settings, their loader, and the ground floor that every room stands on: errors and storage."""
