"""Writing weights in the format of safetensors, which PyTorch and others read without executing anything.

Eight bytes for the length of a JSON header, the header, and the values of all arrays, little-endian and row by row. The
header gives dtype, shape and place of each array by name: https://github.com/huggingface/safetensors
"""

import json
import math
import struct
from pathlib import Path

import numpy as np

from minigan.files import write_all, writing

DTYPES = {"float32": "F32", "float64": "F64", "float16": "F16", "int64": "I64", "int32": "I32", "uint8": "U8"}


def write_safetensors(path: Path, arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Write arrays of any shape and texts by name, whole or not at all; KeyError for a dtype that is not in DTYPES."""
    header: dict[str, object] = {"__metadata__": metadata}
    end = 0
    for name, array in arrays.items():
        start, end = end, end + array.nbytes
        header[name] = {"dtype": DTYPES[array.dtype.name], "shape": list(array.shape), "data_offsets": [start, end]}
    text = json.dumps(header, ensure_ascii=True).encode()
    text = text.ljust(8 * math.ceil(len(text) / 8))  # so that the values lie at a multiple of their size
    with writing(path) as file:
        write_all(file, struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            write_all(file, np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
