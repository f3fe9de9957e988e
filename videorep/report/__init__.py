"""HTML pages that show results."""
