"""Our time, memory and share of the machine's peak beside PyTorch's: python -m experiments.bench."""
