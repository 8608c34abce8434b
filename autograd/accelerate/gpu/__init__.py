"""CUDA kernels for the hot spots of training, written out in full; the NumPy form of each is named beside its launcher.

Each `.cu` file holds one idea and says how its work is shared among threads. The `.py` file of the same name checks
shapes, allocates the results and chooses the grid. `launch.py` runs a kernel on a GPU, `twins.py` lists which ops run
as kernels and when, `blas.py` makes the matrix products, and `graph.py` captures a whole step.
"""
