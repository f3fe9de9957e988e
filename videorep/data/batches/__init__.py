"""From shards, or generated sequences, to batches of tensors."""
