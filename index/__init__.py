"""From embeddings to a library on disk, and from a query to videos and timestamps."""
