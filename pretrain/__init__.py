"""From video to slices, views and an encoder; from an encoder to embeddings."""
