"""Recipes of pretraining: settings that belong together. What is given beside a recipe overrules it."""

# What measures best at equal numbers of sequences; docs/results.md has the evidence for each choice.
MODERN = {
    "batch_size": 16,
    "optimizer": "rmsprop",
    "learning_rate": 1e-3,
    "momentum": 0.9,  # where the optimizer has one
    "decay": 0.9,
    "warmup_steps": 100,
    "final_fraction": 0.02,
    "start_at_mean": True,
}
# Initial weights as in section 3.1; optimizer, rate and batch as in the code that the authors published in 2015.
# That code also takes off 1e-4 of a weight in its summed gradient, and lowers the rate by a tenth every 10,000 steps.
PAPER = {
    "batch_size": 128,
    "optimizer": "bounded-rmsprop",
    "learning_rate": 1e-3,
    "momentum": 0.9,
    "decay": 0.9,
    "warmup_steps": 0,
    "final_fraction": 1.0,
    "start_at_mean": False,
}
RECIPES = {"modern": MODERN, "paper": PAPER}
