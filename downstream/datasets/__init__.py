"""Adapters that read the official layouts of video data sets; one file an adapter."""
