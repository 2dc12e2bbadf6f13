"""From batches to a finished run."""
