"""Commands to run: `python -m experiments.mnist` and its companions."""
