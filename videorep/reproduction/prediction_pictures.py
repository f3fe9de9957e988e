"""The paper's figures 5 to 10 of a reproduction's first runs."""

OTHER_COUNTS = (1, 3)  # of digits that move
SHOWN, PARTLY = "composite", "conditional-composite"
