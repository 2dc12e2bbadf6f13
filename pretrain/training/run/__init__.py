"""What a run keeps: folder, checkpoints, metrics, model card."""
