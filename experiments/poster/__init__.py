"""`python -m experiments.poster`: the poster's figures drawn from our runs, its numbers beside ours, an ablation."""
