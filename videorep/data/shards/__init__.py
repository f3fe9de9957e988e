"""The shard format and its life: plan, write, read, verify. Imports no other room of data/."""
