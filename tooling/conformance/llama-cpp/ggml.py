"""ggml's own library, out of the npm package @node-llama-cpp/linux-x64 that the tests install."""

import ctypes
import dataclasses
import pathlib

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[3]
LIBRARY = next(ROOT.glob("node_modules/.pnpm/@node-llama-cpp+linux-x64@*/**/libggml-base.so"))
VERSION = next(part.split("@")[-1] for part in LIBRARY.parts if part.startswith("@node-llama-cpp+linux-x64@"))

ggml = ctypes.CDLL(str(LIBRARY))
ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_int64] * 3 + [ctypes.c_void_p]
ggml.ggml_validate_row_data.restype = ctypes.c_bool
ggml.ggml_validate_row_data.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
ggml.ggml_type_name.restype = ctypes.c_char_p
ggml.ggml_type_size.restype = ctypes.c_size_t
ggml.ggml_blck_size.restype = ctypes.c_int64


@dataclasses.dataclass(frozen=True)
class Type:
    id: int
    decoder: str
    importance: bool = False

    @property
    def values(self) -> int:
        """Values of a block."""
        return ggml.ggml_blck_size(self.id)

    def bytes(self, count: int) -> int:
        """Bytes of `count` values."""
        return count // self.values * ggml.ggml_type_size(self.id)


TYPES = {
    "f16": Type(1, "ggml_fp16_to_fp32_row"),
    "q4_0": Type(2, "dequantize_row_q4_0", True),
    "q4_1": Type(3, "dequantize_row_q4_1", True),
    "q5_0": Type(6, "dequantize_row_q5_0", True),
    "q5_1": Type(7, "dequantize_row_q5_1", True),
    "q8_0": Type(8, "dequantize_row_q8_0"),
    "q2_K": Type(10, "dequantize_row_q2_K", True),
    "q3_K": Type(11, "dequantize_row_q3_K", True),
    "q4_K": Type(12, "dequantize_row_q4_K", True),
    "q5_K": Type(13, "dequantize_row_q5_K", True),
    "q6_K": Type(14, "dequantize_row_q6_K", True),
    "iq4_nl": Type(20, "dequantize_row_iq4_nl", True),
    "iq4_xs": Type(23, "dequantize_row_iq4_xs", True),
    "bf16": Type(30, "ggml_bf16_to_fp32_row"),
    "mxfp4": Type(39, "dequantize_row_mxfp4"),
    "nvfp4": Type(40, "dequantize_row_nvfp4"),
}


def layouts() -> list:
    """Id, name, values and bytes of a block of every type that ggml has."""
    return [
        [i, ggml.ggml_type_name(i).decode(), ggml.ggml_blck_size(i), ggml.ggml_type_size(i)]
        for i in range(43)
        if ggml.ggml_blck_size(i) > 0
    ]


def encode(name: str, values: np.ndarray, importance: np.ndarray | None = None) -> bytes:
    """Blocks of f32 values: one row, or with an importance as many as that is long."""
    assert values.dtype == np.float32 and values.flags.c_contiguous
    kind = TYPES[name]
    row = values.size if importance is None else importance.size
    out = ctypes.create_string_buffer(kind.bytes(values.size))
    weights = None if importance is None else importance.ctypes.data
    written = ggml.ggml_quantize_chunk(kind.id, values.ctypes.data, out, 0, values.size // row, row, weights)
    assert written == len(out), (name, written, len(out))
    return out.raw


def decode(name: str, data: bytes, count: int) -> np.ndarray:
    values = np.empty(count, np.float32)
    getattr(ggml, TYPES[name].decoder)(data, ctypes.c_void_p(values.ctypes.data), ctypes.c_int64(count))
    return values


def valid(name: str, data: bytes) -> bool:
    """Whether ggml's validation finds no scale that is NaN or infinite. It says on stderr what it finds."""
    return ggml.ggml_validate_row_data(TYPES[name].id, data, len(data))
