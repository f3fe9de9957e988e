"""From clip shards to percepts: their frames or optical flow, the convnet that sees them, shards of what it saw."""
