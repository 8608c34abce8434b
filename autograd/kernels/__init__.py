"""CUDA kernels for the hot spots of training, written out in full; NumPy's twin of each is named beside its launcher.

Each `.cu` file holds one idea and says how its work is shared among threads; the `.py` file of the same name checks
shapes, allocates the results and chooses the grid. `launch.py` is how any of them reaches a GPU, `ops.py` which ops run
as kernels and when, `blas.py` the matrix products.
"""
