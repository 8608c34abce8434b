"""Networks, a training step and Inception in PyTorch: tests compare ours with them, the benchmark times them."""
