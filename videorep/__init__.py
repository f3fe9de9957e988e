"""Video representations learned without labels, and action classifiers from few labels."""

__version__ = "0.1.0"
