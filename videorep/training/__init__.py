"""Training: losses, the loop, and the two jobs that use it."""
