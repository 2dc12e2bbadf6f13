"""A library over HTTP: search, media and jobs from one process, the page on it, and a Python client."""
