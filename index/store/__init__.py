"""The files of a library, and what changes them."""
