"""From arrays of features that others have made to percepts: which arrays there are, and shards of what they hold."""
