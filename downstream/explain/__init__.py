"""What in a video its embeddings depend on, and a video in short."""
