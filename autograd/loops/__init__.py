"""The hot ops as plain loops over float32 arrays, compiled by numba: one pass where NumPy takes several.

The CPU's counterpart of `autograd.kernels`. Without numba (`pip install -e '.[fast]'`) nothing here is imported, and
every op runs as it stands in `autograd.ops`.
"""
