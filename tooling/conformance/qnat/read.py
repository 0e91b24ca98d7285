"""A reader of QNAT version 2 in Python, written from SPEC.md alone, that compares what it decodes with what our own
reader does (expected.json), bit for bit. `python read.py FOLDER`, the folder with the goldens. Needs numpy."""

import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np

f32 = np.float32
DTYPES = {"f64": "<f8", "i64": "<i8", "u64": "<u8", "f32": "<f4", "i32": "<i4", "u32": "<u4", "f16": "<f2",
          "bf16": "<u2", "i16": "<i2", "u16": "<u2", "i8": "i1", "u8": "u1", "bool": "u1"}
CODEBOOKS = {
    "nf4": "bf800000 bf3239b1 bf066b30 beca32a0 be91a24d be3d353f bdba7871 00000000"
           " 3da2faff 3e24cae3 3e7c04dd 3ead033a 3ee1a4b8 3f1007ab 3f3913b3 3f800000",
    "fp4": "00000000 3baaaaab 3f2aaaab 3f800000 3eaaaaab 3f000000 3e2aaaab 3e800000"
           " 00000000 bbaaaaab bf2aaaab bf800000 beaaaaab bf000000 be2aaaab be800000",
}


def align(n):
    return -(-n // 64) * 64


def codebook(scheme):
    return np.array([int(word, 16) for word in CODEBOOKS[scheme].split()], np.uint32).view(f32)


def dynamic_map():
    values = [f32(0), f32(1)]
    for i, power in enumerate(["1e-6", "1e-5", "1e-4", "1e-3", "1e-2", "1e-1", "1"]):
        items = 1 << i
        step = f32(f32(f32(1) - f32("0.1")) / f32(items))
        bounds = [f32(float(f32("0.1")) + float(step) * j) if j < (items + 1) // 2
                  else f32(1 - float(step) * (items - j)) for j in range(items + 1)]
        for a, b in zip(bounds, bounds[1:]):
            value = f32(f32(power) * f32(f32(a + b) / f32(2)))
            values += [value, -value]
    return np.sort(np.array(values, f32))


def read(path):
    data = path.read_bytes()
    magic, version, dialect, flags, alignment, at, size, start, length, count, crc, reserved, own = struct.unpack(
        "<4sHHIIQQQQIIII", data[:64])
    assert (magic, version, dialect, alignment, at, reserved) == (b"QNAT", 2, 1, 64, 64, 0)
    assert own == zlib.crc32(data[:60]) and crc == zlib.crc32(data[64:64 + size])
    assert start == align(64 + size) and start + length == len(data) and not any(data[64 + size:start])
    directory = json.loads(data[64:64 + size])
    assert count == len(directory["tensors"])
    tensors = {}
    for entry in directory["tensors"]:
        block = data[start + entry["offset"]:start + entry["offset"] + entry["size"]]
        assert entry["crc32"] == f"{zlib.crc32(block):08x}", entry["name"]
        sections = {name: block[at:at + size] for name, (at, size) in entry["sections"].items()}
        tensors[entry["name"]] = decode(entry, sections) if "scheme" in entry else dense(entry, sections["values"])
    return tensors


def dense(entry, raw):
    if entry["dtype"] == "bf16":
        return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(f32)
    values = np.frombuffer(raw, DTYPES[entry["dtype"]])
    return values.astype(f32) if entry["dtype"] == "f16" else values


def decode(entry, sections):
    shape = entry["shape"]
    n = int(np.prod(shape, dtype=np.int64))
    packed = np.frombuffer(sections["codes"], np.uint8)
    codes = np.stack([packed >> 4, packed & 15], 1).reshape(-1)
    if "nested_map" in entry:
        k = np.frombuffer(sections["scale_codes"], np.uint8)
        nested = np.frombuffer(sections["nested_absmax"], "<f4")
        offset = np.frombuffer(sections["nested_offset"], "<f4")[0]
        scales = dynamic_map()[k] * nested[np.arange(len(k)) // 256] + offset
    else:
        scales = np.frombuffer(sections["scales"], "<f4")
    book = codebook(entry["scheme"])
    if entry["strategy"] == "per-channel":
        axis = entry["axis"]
        channels = shape[axis]
        m = n // channels if channels else 0
        rows = codes.reshape(channels, -1)[:, :m] if n else codes[:0].reshape(channels, 0)
        values = book[rows] * scales[:, None]
        others = shape[:axis] + shape[axis + 1:]
        return np.moveaxis(values.reshape([channels] + others), 0, axis).reshape(-1)
    blocks = np.arange(n) // entry["block_size"]
    values = book[codes[:n]] * scales[blocks]
    if entry["strategy"] == "zero-point":
        values = values + np.frombuffer(sections["zero_points"], "<f4")[blocks]
    return values


def main(folder):
    assert zlib.crc32(dynamic_map().tobytes()) == 0x1B137AEB
    total = 0
    for name, expected in json.loads((folder / "expected.json").read_text()).items():
        tensors = read(folder / f"{name}.qnat")
        assert list(tensors) == list(expected), name
        for tensor, values in tensors.items():
            assert np.ascontiguousarray(values).tobytes().hex() == expected[tensor]["hex"], f"{name}: {tensor}"
            total += 1
    print(f"{total} tensors are the same bit for bit")


main(Path(sys.argv[1]))
