"""What the paper reports: Srivastava et al. 2015, in per cent of the test videos, tables 1, 3 and 4 and figure 12.

Of flow table 1 has single fields, table 4 stacks of ten. In figure 12 the numbers at one video per class are known.
"""

SMALL = {"ucf101": 10, "hmdb51": 4}  # videos per class of table 3's small label sets

LSTM, COMPOSITE = "LSTM, random weights", "LSTM, composite, finetuned"
PUBLISHED = {
    "Table 1": {
        "single frame": {("ucf101", "rgb"): 72.2, ("ucf101", "flow"): 72.2, ("hmdb51", "rgb"): 40.1},
        LSTM: {("ucf101", "rgb"): 74.5, ("ucf101", "flow"): 74.3, ("hmdb51", "rgb"): 42.8},
        COMPOSITE: {("ucf101", "rgb"): 75.8, ("ucf101", "flow"): 74.6, ("hmdb51", "rgb"): 44.1},
    },
    "Table 3": {
        row: dict(
            zip((("ucf101", "small"), ("ucf101", "all"), ("hmdb51", "small"), ("hmdb51", "all")), each, strict=True)
        )
        for row, each in {
            LSTM: (63.7, 74.5, 25.3, 42.8),
            "autoencoder": (66.2, 75.1, 28.6, 44.0),
            "future predictor": (64.9, 74.9, 27.3, 43.1),
            "conditional autoencoder": (65.8, 74.8, 27.9, 43.1),
            "conditional future predictor": (65.1, 74.9, 27.4, 43.4),
            "composite": (67.0, 75.8, 29.1, 44.1),
            "conditional composite": (67.1, 75.8, 29.2, 44.0),
        }.items()
    },
    "Table 4": {
        "RGB": {("ucf101", "all"): 75.8},
        "flow": {("ucf101", "all"): 77.7},
        "RGB and flow": {("ucf101", "all"): 84.3},
    },
    "Figure 12": {
        LSTM: {("ucf101", "1"): 29.6, ("hmdb51", "1"): 14.4},
        COMPOSITE: {("ucf101", "1"): 34.3, ("hmdb51", "1"): 19.1},
    },
}
# Of two layers of 2,048 units, per frame: cross entropy in nats, and squared loss, which is half the squared error,
# probably of standardised pixels.
TABLE_2 = {
    name: {"moving-mnist": digits, "patches": patches}
    for name, digits, patches in (
        ("future-predictor", 350.2, 225.2),
        ("composite", 344.9, 210.7),
        ("conditional-future-predictor", 343.5, 221.3),
        ("conditional-composite", 341.2, 208.1),
    )
}
