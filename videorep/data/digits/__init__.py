"""Moving MNIST: the digits, the sequences that they move in, and shards of those."""
