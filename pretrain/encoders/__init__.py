"""Slices to vectors: networks, their inputs, frozen encoders and tables of embeddings."""
