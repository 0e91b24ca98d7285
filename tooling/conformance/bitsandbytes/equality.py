"""Holds @qlora/nf4 and @qlora/double-quant to bitsandbytes' CPU build, byte for byte, on at least a million values of each
distribution and scheme: codes, scales and double-quantized scales, and values decoded to f32, f16 and bf16.

    pip install -r tooling/conformance/requirements.txt
    python tooling/conformance/bitsandbytes/equality.py [--count 1048653] [--seed 1]

Both sides get the same bytes. Ours run in ours.ts, on the sources. bitsandbytes' decoder has several paths on a CPU (see
`decoders`); each is run and compared. It prints a table and fails on any difference but three in which those paths differ
from one another too, which it counts: the sign of a zero of FP4, bf16 denormals that AVX-512 makes zero, and NaN that one
path makes zero. The README of @qlora/nf4 says more. Any NaN equals any other.
"""

import argparse
import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

import bitsandbytes
import bitsandbytes.functional as F
import numpy as np
import torch
from bitsandbytes.backends.default.ops import _dequantize_4bit_compute, _get_4bit_quantize_bounds

# Sums over several threads depend on their number.
torch.set_num_threads(1)
# Each block size is compiled anew.
torch._dynamo.config.recompile_limit = 100
torch._logging.set_logs(all=logging.ERROR)
warnings.filterwarnings("ignore")

HERE = pathlib.Path(__file__).resolve().parent
BLOCK_SIZES = [32, 64, 128, 256, 512, 1024, 2048, 4096]
TYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
INFINITY = {"f32": 0x7F800000, "f16": 0x7C00, "bf16": 0x7F80}
MAGNITUDE = {"f32": 0x7FFFFFFF, "f16": 0x7FFF, "bf16": 0x7FFF}


class Ours:
    """The process that runs our code, and the folder that arrays go through."""

    def __init__(self, folder: str):
        self.folder = pathlib.Path(folder)
        command = ["node", "--conditions=@qlora/source", "--import", "tsx", "bitsandbytes/ours.ts", folder]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=HERE.parent, stdin=pipe, stdout=pipe, text=True)

    def put(self, name: str, tensor: torch.Tensor) -> None:
        tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tofile(self.folder / name)

    def run(self, task: str, **job) -> None:
        self.process.stdin.write(json.dumps({"task": task, **job}) + "\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != "done\n":
            sys.exit("ours.ts failed")

    def get(self, name: str, dtype: str = "u1") -> np.ndarray:
        return np.fromfile(self.folder / f"ours.{name}", {"f32": "u4", "f16": "u2", "bf16": "u2"}.get(dtype, dtype))


def bits(tensor: torch.Tensor) -> np.ndarray:
    """Bit patterns of a tensor, as unsigned integers of its width."""
    width = tensor.element_size()
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().view(f"u{width}")


def is_nan(side: np.ndarray, dtype: str) -> np.ndarray:
    return (side & MAGNITUDE[dtype]) > INFINITY[dtype]


def is_zero(side: np.ndarray, dtype: str) -> np.ndarray:
    return (side & MAGNITUDE[dtype]) == 0


def with_neighbours(values: torch.Tensor) -> torch.Tensor:
    """The values, and the f32 numbers above and below each."""
    return torch.cat([values, *(torch.nextafter(values, torch.tensor(end)) for end in (2.0, -2.0))])


def distributions(scheme: str, count: int) -> dict[str, torch.Tensor]:
    """Values to quantize."""
    bounds, _ = _get_4bit_quantize_bounds(scheme, torch.device("cpu"))
    near = with_neighbours(bounds)
    # A power of two every 32 values makes the product with the reciprocal exact: each bound is met, and its neighbours.
    ties = near[torch.randint(len(near), (count,))]
    ties[::32] = 1
    ties *= 2.0 ** torch.randint(-20, 20, (count // 4096 + 1,)).repeat_interleave(4096)[:count]
    # The same by scales of any size: products that land on a bound or one or two units beside it.
    sizes = (torch.rand(count // 4096 + 1) + 0.5).repeat_interleave(4096)[:count]
    almost = near[torch.randint(len(near), (count,))]
    almost[::32] = 1
    special = torch.randn(count)
    at = torch.rand(count)
    for i, value in enumerate((float("nan"), float("inf"), -float("inf"), 3e38, -0.0, 1e-45)):
        special[(at > i / 500) & (at < (i + 0.3) / 500)] = value
    # Blocks with none of these too.
    special[: count // 4] = torch.randn(count // 4)
    student = torch.distributions.StudentT(2.0).sample((count,))
    constants = torch.tensor([0.3, -1.0, 1e-20, 7e30]).repeat_interleave(count // 4 + 1)[:count]
    return {
        "normal": torch.randn(count),
        "uniform": torch.rand(count) * 2 - 1,
        "heavy-tailed (Student t, 2)": student,
        "constant": constants,
        "zeros": torch.zeros(count) * (torch.rand(count) - 0.5),
        "denormal, and around 1e-38": torch.randn(count) * 10.0 ** (torch.rand(count) * 9 - 45),
        "ties at every threshold": ties,
        "beside every threshold": almost * sizes,
        "NaN, infinities, extremes": special,
        "any bits": torch.randint(-(2**31), 2**31, (count,), dtype=torch.int64).to(torch.int32).view(torch.float32),
    }


def decoders(scheme: str, block_size: int, codes: torch.Tensor, absmax: torch.Tensor, count: int, dtype: str):
    """What each path of bitsandbytes makes of codes: its name, and the first values of all, as many as it takes.

    csrc/cpu_ops.cpp decodes sixteen values at a time with AVX-512 where rows are a multiple of that, and one by one elsewhere;
    odd rows, and blocks of 2048 and more, go through backends/default/ops.py, as it is or compiled by torch.
    """

    def library(length: int) -> torch.Tensor:
        state = F.QuantState(absmax, shape=(length,), blocksize=block_size, quant_type=scheme, dtype=TYPES[dtype])
        return F.dequantize_4bit(codes[: (length + 1) // 2], state)

    plain = _dequantize_4bit_compute.__wrapped__
    code = F.get_4bit_type(scheme, device="cpu")
    yield "torch", plain(codes.reshape(-1), absmax, code, block_size, (count,), TYPES[dtype])
    if block_size == 64:
        yield "torch, compiled", library(count - (1 - count % 2))
    if block_size < 2048:
        whole = count - count % 16
        has_avx512 = torch.backends.cpu.get_cpu_capability() == "AVX512"
        yield "AVX-512" if has_avx512 else "one by one", library(whole)
        yield "one by one", library(whole - 2)


class Table:
    """Counts by row; says what differs."""

    def __init__(self, title: str, columns: list[str]):
        self.title, self.columns = title, columns
        self.rows: dict[str, dict[str, int]] = {}
        self.failures: list[str] = []

    def add(self, row: str, column: str, count: int) -> None:
        self.rows.setdefault(row, dict.fromkeys(self.columns, 0))[column] += count

    def compare(self, row, column, where, ours, theirs, dtype=None, expected=None, count=None) -> None:
        """Counts what is compared and what differs.

        dtype: of which float type the bits are, so that any NaN equals any other.
        expected: masks of where sides may differ, by the column that counts it.
        count: how many things are compared, if an element is not one.
        """
        self.add(row, column, len(theirs) if count is None else count)
        if len(ours) != len(theirs):
            self.failures.append(f"{row}: {where}: {len(ours)} instead of {len(theirs)}")
            self.add(row, "different", len(theirs))
            return
        different = ours != theirs
        if dtype:
            different &= ~(is_nan(ours, dtype) & is_nan(theirs, dtype))
        for kind, mask in (expected or {}).items():
            self.add(row, kind, int((different & mask).sum()))
            different &= ~mask
        wrong = int(different.sum())
        self.add(row, "different", wrong)
        if wrong:
            at = int(different.argmax())
            self.failures.append(f"{row}: {where}: {wrong} differ, first at {at}: {ours[at]:#x}, {theirs[at]:#x} wanted")

    def print(self) -> None:
        heads = [self.title, *self.columns]
        rows = [[row, *(f"{counts[column]:,}" for column in self.columns)] for row, counts in self.rows.items()]
        widths = [max(len(line[i]) for line in [heads, *rows]) for i in range(len(heads))]
        for line in [heads, ["-" * width for width in widths], *rows]:
            print(" | ".join([line[0].ljust(widths[0]), *(text.rjust(w) for text, w in zip(line[1:], widths[1:]))]))
        print()


def compare_codec(ours: Ours, table: Table, count: int) -> None:
    """Codes and scales of all types and block sizes; values of the codes, by every path."""
    for scheme in ("nf4", "fp4"):
        for name, values in distributions(scheme, count).items():
            row = f"{scheme}, {name}"
            for dtype, torch_dtype in TYPES.items():
                source = values.to(torch_dtype)
                ours.put("values", source)
                for block_size in BLOCK_SIZES:
                    codes, state = F.quantize_4bit(source, blocksize=block_size, quant_type=scheme)
                    ours.run("quantize", scheme=scheme, dtype=dtype, blockSize=block_size)
                    where = f"{dtype}, blocks of {block_size}"
                    # Two values a byte of codes.
                    table.compare(row, "quantized", f"codes, {where}", ours.get("codes"), bits(codes), count=count)
                    absmax = ours.get("absmax", "f32")
                    table.compare(row, "scales", f"absmax, {where}", absmax, bits(state.absmax), "f32")
                    if dtype == "f32":
                        compare_values(ours, table, row, scheme, block_size, codes, state.absmax, count)
        row = f"{scheme}, any codes and scales"
        codes = torch.randint(256, ((count + 1) // 2, 1), dtype=torch.uint8)
        for block_size in BLOCK_SIZES:
            scales = torch.randint(-(2**31), 2**31, (-(-count // block_size),), dtype=torch.int64).to(torch.int32)
            scales = scales.view(torch.float32)
            compare_values(ours, table, row, scheme, block_size, codes, scales, count)


def compare_lengths(ours: Ours, table: Table, most: int) -> None:
    """Every number of values up to `most`: no whole block, one, several, with and without a short last one."""
    for scheme in ("nf4", "fp4"):
        row = f"{scheme}, 1, 2, … {most} values"
        for count in range(1, most + 1):
            values = torch.randn(count)
            codes, state = F.quantize_4bit(values, blocksize=64, quant_type=scheme)
            ours.put("values", values)
            ours.run("quantize", scheme=scheme, dtype="f32", blockSize=64)
            table.compare(row, "quantized", f"codes of {count}", ours.get("codes"), bits(codes), count=count)
            table.compare(row, "scales", f"absmax of {count}", ours.get("absmax", "f32"), bits(state.absmax), "f32")
            ours.put("codes", codes)
            ours.put("absmax", state.absmax)
            ours.run("dequantize", scheme=scheme, blockSize=64, count=count)
            for dtype in TYPES:
                path, decoded = next(decoders(scheme, 64, codes, state.absmax, count, dtype))
                table.compare(row, f"to {dtype}", f"{path}, {count}", ours.get(dtype, dtype), bits(decoded), dtype)


def compare_values(ours, table, row, scheme, block_size, codes, absmax, count) -> None:
    ours.put("codes", codes)
    ours.put("absmax", absmax)
    ours.run("dequantize", scheme=scheme, blockSize=block_size, count=count)
    for dtype in TYPES:
        mine = ours.get(dtype, dtype)
        for path, decoded in decoders(scheme, block_size, codes, absmax, count, dtype):
            theirs = bits(decoded)
            part = mine[: len(theirs)]
            zero = is_zero(theirs, dtype)
            expected = {}
            if path == "one by one":
                # csrc/cpu_ops.h, float_to_bf16: a NaN whose upper bits are all ones overflows.
                expected["NaN lost"] = zero & is_nan(part, dtype) & (dtype == "bf16")
                # csrc/cpu_ops.cpp, fp4_lut: code 8 is -0.
                expected["sign of 0"] = zero & is_zero(part, dtype) & (scheme == "fp4")
            if path == "AVX-512":
                # The instruction vcvtneps2bf16 takes and makes no denormals.
                expected["flushed"] = zero & ((part & 0x7FFF) <= 0x0080) & (dtype == "bf16")
            where = f"to {dtype}, {path}, blocks of {block_size}"
            table.compare(row, f"to {dtype}", where, part, theirs, dtype, expected)


def scale_distributions(count: int) -> dict[str, torch.Tensor]:
    """Scales to quantize; finite, since others are refused."""
    code = F.create_dynamic_map()
    bins = ((torch.arange(65535, dtype=torch.float64) + 0.5) / 65535 * 2 - 1).float()
    thresholds = with_neighbours(torch.cat([(code[1:] + code[:-1]) / 2, bins]))
    # Every other row of 32 is the one before with other signs: the mean, whose sums go by columns, is exactly 0. With a 1 in
    # each row, distances over the largest are the thresholds themselves.
    ties = thresholds[torch.randint(len(thresholds), (count // 64, 1, 32))]
    ties[..., 0] = 1
    ties = torch.cat([ties, -ties], dim=1).reshape(-1)
    ties = torch.cat([ties, torch.zeros(count - len(ties))])
    weights = torch.randn(count, 64)
    return {
        "absmax of normal blocks": weights.abs().max(dim=1)[0] * 0.02,
        "uniform": torch.rand(count),
        "heavy-tailed (Student t, 2)": torch.distributions.StudentT(2.0).sample((count,)).abs(),
        "constant": torch.full((count,), 0.7),
        "zeros": torch.zeros(count),
        "denormal, and around 1e-38": torch.rand(count) * 10.0 ** (torch.rand(count) * 9 - 45),
        "at and beside every threshold": ties,
        "very different sizes": 10.0 ** (torch.rand(count) * 60 - 30),
    }


def compare_double(ours: Ours, table: Table, count: int) -> None:
    """Scales in 8 bits and back, in nested blocks of all sizes."""
    for name, scales in scale_distributions(count).items():
        ours.put("values", scales)
        offset = scales.mean()
        for block_size in BLOCK_SIZES:
            codes, state = F.quantize_blockwise(scales - offset, blocksize=block_size)
            restored = F.dequantize_blockwise(codes, state) + offset
            ours.run("double", blockSize=block_size)
            compare_nested(ours, table, name, f"blocks of {block_size}", offset, codes, state.absmax)
            mine = ours.get("nested.restored", "f32")
            table.compare(name, "restored", f"scales, blocks of {block_size}", mine, bits(restored), "f32")


def compare_nested(ours, table, row, where, offset, codes, absmax) -> None:
    table.compare(row, "offsets", f"offset, {where}", ours.get("nested.offset", "f32"), bits(offset), "f32")
    table.compare(row, "codes", f"codes, {where}", ours.get("nested.codes"), bits(codes))
    table.compare(row, "nested scales", f"nested, {where}", ours.get("nested.absmax", "f32"), bits(absmax), "f32")


def compare_both(ours: Ours, table: Table, count: int) -> None:
    """Values through 4 bits with scales in 8 bits, as QLoRA has them, and back."""
    for scheme in ("nf4", "fp4"):
        for name, values in distributions(scheme, count).items():
            if name in ("NaN, infinities, extremes", "any bits"):
                continue  # scales that are not finite are refused
            row = f"{scheme}, {name}"
            ours.put("values", values)
            for block_size in BLOCK_SIZES:
                codes, state = F.quantize_4bit(values, None, None, block_size, True, scheme)
                where = f"blocks of {block_size}"
                ours.run("nested", scheme=scheme, dtype="f32", blockSize=block_size, count=count)
                table.compare(row, "quantized", f"codes of values, {where}", ours.get("codes"), bits(codes), count=count)
                compare_nested(ours, table, row, where, state.offset, state.absmax, state.state2.absmax)
                back = bits(F.dequantize_4bit(codes, state))
                table.compare(row, "decoded", f"values, {where}", ours.get("f32", "f32")[: len(back)], back, "f32")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=2**20 + 77, help="values of each distribution")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    print(f"bitsandbytes {bitsandbytes.__version__}, torch {torch.__version__} ({torch.backends.cpu.get_cpu_capability()}),")
    print(f"{options.count:,} values of each distribution and scheme, block sizes {BLOCK_SIZES}\n")
    columns = ["quantized", "scales", *(f"to {dtype}" for dtype in TYPES), "sign of 0", "flushed", "NaN lost", "different"]
    codec = Table("4 bits", columns)
    nested = ["codes", "nested scales", "offsets"]
    double = Table("double quantization", [*nested, "restored", "different"])
    both = Table("4 bits with double quantization", ["quantized", *nested, "decoded", "different"])
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        ours = Ours(folder)
        compare_codec(ours, codec, options.count)
        compare_lengths(ours, codec, 300)
        codec.print()
        compare_double(ours, double, options.count)
        double.print()
        compare_both(ours, both, options.count)
        both.print()
    failures = codec.failures + double.failures + both.failures
    print("\n".join(failures[:50]) or "Nothing else differs.")
    sys.exit(1 if failures else 0)


main()
