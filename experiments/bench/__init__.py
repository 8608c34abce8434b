"""Our time, memory and share of the machine's peak beside PyTorch's: python -m experiments.bench."""

METHOD = """\
Both sides have the same weights, batch and threads. Their results are compared first: where they differ, nothing is
timed. Then they are timed in turns, in one process. A ratio is our time over PyTorch's, round by round: the median, and
the quartiles in parentheses. Below 1 we are faster. Peak memory is taken in a process for each side.

plain  PyTorch as a careful user writes the model
best   scaled_dot_product_attention where it is faster, self-modulation in one call, fused Adam; on a GPU torch.compile
       with mode="reduce-overhead", while plain is eager

ranks: each side in processes of its own. ours is two processes of one thread each, plain is DistributedDataParallel
(gloo) by two processes of one thread each, best is one process with two threads; both of PyTorch's are the best model.

GFLOP/s are of the matrix products and convolutions of one call, counted from shapes. Their share is of the fastest
float32 matrix product of this machine.
"""
