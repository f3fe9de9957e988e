"""The paper's tables on one's own machine: stage after stage of what the other commands do, and its figures beside."""
