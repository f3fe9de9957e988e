"""Pictures of what models make of frames, what they learned, and how training went."""
