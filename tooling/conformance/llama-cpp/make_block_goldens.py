"""Writes the goldens of @qlora/ggml-blocks: what ggml's own library makes of given values.

ggml's library comes with the npm package @node-llama-cpp/linux-x64, which the tests install anyway:

    pip install numpy==2.4.6
    python tooling/conformance/llama-cpp/make_block_goldens.py
"""

import base64
import ctypes
import hashlib
import json
import pathlib

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[3]
LIBRARY = next(ROOT.glob("node_modules/.pnpm/@node-llama-cpp+linux-x64@*/**/libggml-base.so"))
VERSION = next(part.split("@")[-1] for part in LIBRARY.parts if part.startswith("@node-llama-cpp+linux-x64@"))
ggml = ctypes.CDLL(str(LIBRARY))
ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_int64] * 3 + [ctypes.c_void_p]
ggml.ggml_type_name.restype = ctypes.c_char_p
ggml.ggml_type_size.restype = ctypes.c_size_t
ggml.ggml_blck_size.restype = ctypes.c_int64

# Name, id, bytes of `n` values, ggml's row decoder.
TYPES = {
    "f16": (1, lambda n: 2 * n, "ggml_fp16_to_fp32_row"),
    "q8_0": (8, lambda n: n // 32 * 34, "dequantize_row_q8_0"),
    "bf16": (30, lambda n: 2 * n, "ggml_bf16_to_fp32_row"),
}


def encode(name: str, values: np.ndarray) -> bytes:
    type_id, size, _ = TYPES[name]
    out = ctypes.create_string_buffer(size(values.size))
    written = ggml.ggml_quantize_chunk(type_id, values.ctypes.data, out, 0, 1, values.size, None)
    assert written == len(out), (name, written, len(out))
    return out.raw


def decode(name: str, data: bytes, count: int) -> np.ndarray:
    values = np.empty(count, np.float32)
    getattr(ggml, TYPES[name][2])(data, ctypes.c_void_p(values.ctypes.data), ctypes.c_int64(count))
    return values


def edges() -> np.ndarray:
    """Ties of the rounding to 8 bits and to f16 and bf16, zeros of both signs, denormals, the largest values."""
    f32 = np.float32
    ties = np.r_[127, np.arange(-15, 15) + 0.5, 126.5]
    scaled = ties * f32(0.0123)
    halves = 1 + np.arange(32) * 2.0**-11
    small = np.r_[2.0**-14, 2.0**-24 * np.arange(31) / 2]
    tiny = np.r_[1e-38, 3e-39 * np.arange(31)]
    large = np.r_[65519.99, 65504, -65503, np.linspace(-60000, 60000, 29)]
    flat = np.full(32, -0.75)
    zeros = np.r_[np.zeros(16), -np.zeros(16)]
    bf = np.array([0x3F808000 + i * 0x4000 for i in range(32)], np.uint32).view(f32)
    huge = np.r_[8.3e6, np.linspace(-8e6, 8e6, 31)]
    return np.concatenate([p.astype(f32) for p in (ties, scaled, halves, small, tiny, large, flat, zeros, bf, huge)])


def stream(count: int) -> np.ndarray:
    """A million values of four distributions that any language makes alike: integers, f32 products, powers of two."""
    state, words = 1, np.empty(count, np.int64)
    for i in range(count):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        words[i] = state
    signed = (words - 2**31).astype(np.float32) * np.float32(2.0**-31)
    quarter = count // 4
    uniform, product, spread, coarse = (signed[i * quarter : (i + 1) * quarter].copy() for i in range(4))
    product *= np.roll(product, 1)
    # Exponents from the high bits of the word before, a block of 32 at a time.
    exponents = (words[2 * quarter : 3 * quarter : 32] >> 24) % 40 - 30
    spread *= np.repeat(np.exp2(exponents.astype(np.float32)), 32)
    # The sum makes a positive zero of a negative one, which a rounding by hand does not give.
    coarse = (np.round(coarse * np.float32(64)) + np.float32(0)) / np.float32(32)
    return np.concatenate([uniform, product, spread, coarse]).astype(np.float32)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def main() -> None:
    values, million = edges(), stream(1 << 20)
    golden = {
        "madeBy": {"@node-llama-cpp/linux-x64": VERSION, "numpy": np.__version__},
        "layouts": [
            [i, ggml.ggml_type_name(i).decode(), ggml.ggml_blck_size(i), ggml.ggml_type_size(i)]
            for i in range(43)
            if ggml.ggml_blck_size(i) > 0
        ],
        "edges": b64(values.tobytes()),
        "types": {},
        "stream": {"count": million.size, "sha256": hashlib.sha256(million.tobytes()).hexdigest()},
    }
    for name in TYPES:
        encoded, long = encode(name, values), encode(name, million)
        golden["types"][name] = {
            "encoded": b64(encoded),
            "decodedSha256": hashlib.sha256(decode(name, encoded, values.size).tobytes()).hexdigest(),
            "streamSha256": hashlib.sha256(long).hexdigest(),
            "streamDecodedSha256": hashlib.sha256(decode(name, long, million.size).tobytes()).hexdigest(),
        }
    path = ROOT / "packages/ggml-blocks/src/goldens/ggml.json"
    path.write_text(json.dumps(golden, indent=1) + "\n")
    print(path, path.stat().st_size, "bytes")


main()
