"""Writes the goldens of @qlora/ggml-blocks: what ggml's own library makes of given values.

ggml's library comes with the npm package @node-llama-cpp/linux-x64, which the tests install anyway:

    pip install numpy==2.4.6
    python tooling/conformance/llama-cpp/make_block_goldens.py
"""

import base64
import hashlib
import json

import numpy as np
from ggml import ROOT, TYPES, VERSION, decode, encode, layouts, valid

# Types of single values, and the one that has a golden of edge cases in bytes.
EDGES = ("f16", "q8_0", "bf16")
ROW = 1024
SHORT, LONG = 1 << 13, 1 << 17


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


def words(seed: int, count: int) -> np.ndarray:
    """`count` steps of a linear congruential generator, 32 bits each."""
    with np.errstate(over="ignore"):
        powers = np.cumprod(np.r_[np.uint32(1), np.full(count, 1664525, np.uint32)], dtype=np.uint32)
        sums = np.cumsum(powers[:-1], dtype=np.uint32)
        return powers[1:] * np.uint32(seed) + sums * np.uint32(1013904223)


def signed(seed: int, count: int) -> np.ndarray:
    """From -1 to 1, evenly."""
    return (words(seed, count).astype(np.int64) - 2**31).astype(np.float32) * np.float32(2.0**-31)


def bell(seed: int, count: int) -> np.ndarray:
    """Sums of eight even numbers, a deviation of 0.02 about."""
    sums = (words(seed, 8 * count) >> np.uint32(8)).astype(np.int64).reshape(count, 8).sum(1)
    return ((sums - 2**26).astype(np.float32) * np.float32(2.0**-24)) * np.float32(0.0245)


def powers(seed: int, count: int, low: int, high: int) -> np.ndarray:
    """Powers of two with exponents from `low` to `high` - 1."""
    exponents = (words(seed, count) >> np.uint32(16)).astype(np.int64) % (high - low) + low
    return np.exp2(exponents.astype(np.float64)).astype(np.float32)


def distributions(count: int) -> dict[str, np.ndarray]:
    """Values that any language makes alike: integers, and f32 operations that IEEE 754 defines."""
    f32 = np.float32
    index = np.arange(count)
    even, normal = signed(1, count), bell(2, count)
    return {
        "uniform": even,
        "normal": normal,
        "heavy-tailed": bell(3, count) / (np.abs(signed(4, count)) + f32(2.0**-10)),
        "constant": np.repeat(bell(5, count // 256), 256),
        "zeros": np.where(words(6, count) >> np.uint32(31), f32(-0.0), f32(0)),
        "sparse": np.where(words(7, count) >> np.uint32(28) == 0, normal, f32(0)),
        "half zero": np.where(index // 32 % 2 == 0, normal, f32(0)),
        # Down to where neither a scale nor its reciprocal is a number.
        "every size": bell(8, count) * np.repeat(powers(9, count // 32, -140, 16), 32),
        "denormal": bell(10, count) * f32(2.0**-126),
        "huge": signed(11, count) * f32(65000),
        "too large": bell(12, count) * np.repeat(powers(13, count // 256, 0, 100), 256),
        "positive": np.abs(signed(14, count)) * f32(0.5) + f32(0.5),
        "negative": bell(15, count) - f32(3),
        "ties": np.round(signed(16, count) * f32(8)) / f32(8) + f32(0),
        "one large": np.where(index % 256 == 77, f32(30), normal),
    }


def importances() -> dict[str, np.ndarray]:
    """Importance of a row's columns: squares, as a real matrix has them, and with zeros, tiny and large ones."""
    squares = bell(21, ROW) * bell(21, ROW)
    return {
        "squares": squares,
        "wild": np.where(words(22, ROW) >> np.uint32(30) == 0, np.float32(0), squares * powers(23, ROW, -60, 60)),
    }


def block_goldens() -> dict:
    values, golden = distributions(LONG), {}
    for name in TYPES:
        if name in ("f32", "f16", "bf16"):
            continue
        golden[name] = {
            key: {
                kind: made(name, rows, importance)
                for kind, importance in {"plain": None, **(importances() if TYPES[name].importance else {})}.items()
            }
            for key, rows in values.items()
        }
    return {
        "madeBy": {"@node-llama-cpp/linux-x64": VERSION, "numpy": np.__version__},
        "short": SHORT,
        "long": LONG,
        "row": ROW,
        "values": {key: digest(rows) for key, rows in values.items()},
        "importances": {key: digest(row) for key, row in importances().items()},
        "anyBytes": {name: any_bytes(name) for name in golden},
        "types": golden,
    }


def any_bytes(name: str) -> str:
    """Digest of the values of 4096 blocks of random bytes, every NaN as the positive quiet one."""
    size = TYPES[name].bytes(TYPES[name].values)
    blocks = (words(31, 4096 * size) >> np.uint32(24)).astype(np.uint8)
    values = decode(name, blocks.tobytes(), 4096 * TYPES[name].values)
    values[np.isnan(values)] = np.nan
    return digest(values)


def made(name: str, values: np.ndarray, importance: np.ndarray | None) -> list[str | None]:
    """Digests of the blocks of the first SHORT and of all values, and of the values of all blocks; null where ggml's
    validation refuses the blocks."""
    blocks = encode(name, values, importance)
    first = blocks[: TYPES[name].bytes(SHORT)]
    if not valid(name, blocks):
        return [digest(first) if valid(name, first) else None, None, None]
    return [digest(first), digest(blocks), digest(decode(name, blocks, values.size))]


def digest(data) -> str:
    return hashlib.sha256(data.tobytes() if isinstance(data, np.ndarray) else data).hexdigest()[:12]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def main() -> None:
    values, million = edges(), stream(1 << 20)
    golden = {
        "madeBy": {"@node-llama-cpp/linux-x64": VERSION, "numpy": np.__version__},
        "layouts": layouts(),
        "edges": b64(values.tobytes()),
        "types": {},
        "stream": {"count": million.size, "sha256": hashlib.sha256(million.tobytes()).hexdigest()},
    }
    for name in EDGES:
        encoded, long = encode(name, values), encode(name, million)
        golden["types"][name] = {
            "encoded": b64(encoded),
            "decodedSha256": hashlib.sha256(decode(name, encoded, values.size).tobytes()).hexdigest(),
            "streamSha256": hashlib.sha256(long).hexdigest(),
            "streamDecodedSha256": hashlib.sha256(decode(name, long, million.size).tobytes()).hexdigest(),
        }
    write("ggml.json", json.dumps(golden, indent=1))
    blocks = block_goldens()
    types = ",\n".join(f"  {json.dumps(name)}: {json.dumps(kind)}" for name, kind in blocks.pop("types").items())
    write("blocks.json", json.dumps({**blocks, "types": "TYPES"}, indent=1).replace('"TYPES"', "{\n" + types + "\n }"))


def write(name: str, text: str) -> None:
    path = ROOT / "packages/ggml-blocks/src/goldens" / name
    path.write_text(text + "\n")
    print(path, path.stat().st_size, "bytes")


main()
