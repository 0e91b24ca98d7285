"""Writes the goldens of @qlora/ggml-blocks: what ggml itself makes of given values, through the library that
node-llama-cpp ships.

    pip install numpy && npm test   # or anything else that installs
    python tooling/conformance/llama-cpp/make_goldens.py
"""

import base64
import ctypes
import json
import pathlib

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[3]
LIBRARY = next((ROOT / "node_modules/.pnpm").glob("@node-llama-cpp+linux-x64@*/**/libggml-base.so"))
ggml = ctypes.CDLL(str(LIBRARY))
ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64,
                                     ctypes.c_int64, ctypes.c_void_p]

TYPES = {"f16": (1, 2), "bf16": (30, 2), "q8_0": (8, 34 / 32)}


def encode(name: str, values: np.ndarray) -> bytes:
    type_id, size = TYPES[name]
    out = np.zeros(int(values.size * size), np.uint8)
    if name == "q8_0":
        written = ggml.ggml_quantize_chunk(type_id, values.ctypes.data, out.ctypes.data, 0, 1, values.size, None)
        assert written == out.size
    else:
        row = getattr(ggml, f"ggml_fp32_to_{'fp16' if name == 'f16' else 'bf16'}_row")
        row.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
        row.restype = None
        row(values.ctypes.data, out.ctypes.data, values.size)
    return out.tobytes()


rng = np.random.default_rng(6)
inputs = {
    "normal": rng.standard_normal(512),
    "small": rng.standard_normal(64) * 1e-6,
    "large": rng.standard_normal(64) * 1e4,
    "halves": (np.arange(64) - 32) / 2,
    "zeros": np.zeros(32),
    "one of 127": np.concatenate([[127.0], np.arange(31) + 0.5]),
}
b64 = lambda data: base64.b64encode(data).decode()
cases = [
    {"name": name, "type": kind, "values": b64(values.astype(np.float32).tobytes()), "bytes": b64(encode(kind, values.astype(np.float32)))}
    for name, values in inputs.items()
    for kind in TYPES
]
content = {"library": LIBRARY.parents[2].name, "cases": cases}
(ROOT / "packages/ggml-blocks/src/goldens/ggml.json").write_text(json.dumps(content, indent=1) + "\n")
