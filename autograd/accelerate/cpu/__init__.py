"""The hot ops as plain loops over float32 arrays, compiled by numba: one pass where NumPy takes several.

`twins.py` lists which ops and routines have loops. Without numba (`pip install -e '.[fast]'`) nothing here is imported,
and every op runs as it stands in `autograd.ops`.
"""
