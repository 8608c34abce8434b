"""`python -m experiments.poster`: the poster's runs, its figures with them in, its numbers beside ours, an ablation."""
