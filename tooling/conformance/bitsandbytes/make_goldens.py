"""Writes the goldens of @qlora/nf4 and @qlora/double-quant: what bitsandbytes' CPU build makes of given values, and normal
quantiles that mpmath computes.

    pip install -r tooling/conformance/requirements.txt
    python tooling/conformance/bitsandbytes/make_goldens.py
"""

import base64
import json
import os
import pathlib
import random

# bitsandbytes compiles one of its fallbacks where there is a C++ compiler: goldens are not to depend on that.
os.environ["TORCHDYNAMO_DISABLE"] = "1"

import bitsandbytes
import bitsandbytes.functional as F
import mpmath
import torch
from bitsandbytes.backends.default.ops import _get_4bit_quantize_bounds

# A sum over several threads depends on their number.
torch.set_num_threads(1)

ROOT = pathlib.Path(__file__).resolve().parents[3]
VERSIONS = {"bitsandbytes": bitsandbytes.__version__, "torch": torch.__version__}


def b64(tensor: torch.Tensor) -> str:
    return base64.b64encode(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()).decode()


def ties(scheme: str) -> torch.Tensor:
    """Every midpoint of the codebook, exactly, and its two neighbours in f32, in blocks whose absmax is 1."""
    bounds, _ = _get_4bit_quantize_bounds(scheme, torch.device("cpu"))
    near = torch.cat([bounds, torch.nextafter(bounds, torch.tensor(2.0)), torch.nextafter(bounds, torch.tensor(-2.0))])
    block = torch.cat([near, torch.tensor([1.0]), torch.zeros(18)])
    return torch.cat([block, block[:32]])


def inputs(scheme: str) -> dict[str, torch.Tensor]:
    torch.manual_seed(4)
    nan, inf = float("nan"), float("inf")
    odd = torch.randn(64 * 3)
    odd[5] = nan
    odd[64 + 7] = inf
    odd[64 + 9] = -inf
    return {
        "normal": torch.randn(1000),
        "uniform, odd count": torch.rand(333) - 0.3,
        "heavy tails": torch.randn(300) / (torch.rand(300) + 1e-3),
        "ties": ties(scheme),
        "zeros, with a short last block": torch.zeros(64 + 5),
        "denormals": torch.randn(130) * 1e-40,
        "NaN and infinities": odd,
        "one value": torch.tensor([-0.25]),
    }


TYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


def codec_case(name: str, scheme: str, block_size: int, values: torch.Tensor) -> dict:
    codes, state = F.quantize_4bit(values, blocksize=block_size, quant_type=scheme)
    decoded = {}
    for dtype, state.dtype in TYPES.items():
        decoded[dtype] = b64(F.dequantize_4bit(codes, state))
    return {
        "name": name,
        "scheme": scheme,
        "blockSize": block_size,
        "dtype": next(dtype for dtype, wanted in TYPES.items() if wanted == values.dtype),
        "values": b64(values),
        "codes": b64(codes),
        "absmax": b64(state.absmax),
        "decoded": decoded,
    }


def codec_cases() -> list[dict]:
    cases = []
    for scheme in ("nf4", "fp4"):
        for name, values in inputs(scheme).items():
            for block_size in (32, 64, 256) if name == "normal" else (64,):
                cases.append(codec_case(name, scheme, block_size, values))
        # 200 values are too few for a block: all of them are a short last one.
        few = torch.randn(200) * torch.rand(200) ** 8
        cases.append(codec_case("very different sizes", scheme, 4096, few))
        cases.append(codec_case("from f16", scheme, 64, few.to(torch.float16)))
        cases.append(codec_case("from bf16", scheme, 64, few.to(torch.bfloat16)))
        cases.append(codec_case("overflow and denormals of f16", scheme, 64, few * 2e6 ** torch.linspace(-1, 1, 200)))
    return cases


def normal_quantile(p: float) -> float:
    """The quantile of the f64 number p, by Halley's method in 60 digits."""
    x = torch.special.ndtri(torch.tensor(p, dtype=torch.float64)).item()
    with mpmath.workdps(60):
        x = mpmath.mpf(x)
        for _ in range(6):
            below = mpmath.erfc(-x / mpmath.sqrt(2)) / 2
            step = (below - mpmath.mpf(p)) / (mpmath.exp(-x * x / 2) / mpmath.sqrt(2 * mpmath.pi))
            x -= step / (1 + x * step / 2)
        return float(x)


def quantiles() -> list[list[float]]:
    rng = random.Random(6)
    # Around the seams of the algorithm, at both ends, and over 300 orders of magnitude.
    ps = [0.075, 0.0751, 0.925, 0.9249, 1e-11, 1.4e-11, 2.2250738585072014e-308, 1 - 2**-53]
    ps += [rng.random() for _ in range(40)]
    ps += [10 ** -rng.uniform(1, 300) for _ in range(40)]
    ps += [1 - 10 ** -rng.uniform(1, 15) for _ in range(20)]
    return [[p, normal_quantile(p)] for p in ps]


def normal_maps() -> list[dict]:
    """create_normal_map without its padding; it needs scipy."""
    rng = random.Random(7)
    offsets = [0.9677083, 0.51, 0.75, 0.9, 0.99, 0.999999, *(rng.uniform(0.51, 0.9999) for _ in range(10))]
    maps = []
    for offset in offsets:
        values = F.create_normal_map(offset)
        maps.append({"offset": offset, "values": sorted([*values[values != 0].tolist(), 0.0])})
    return maps


def double_cases() -> list[dict]:
    torch.manual_seed(5)
    cases = []
    for name, scales in {
        "one scale": torch.tensor([0.7]),
        "equal scales": torch.full((9,), 0.25),
        **{f"{n} scales": torch.rand(n) * 0.03 for n in range(2, 9)},
        "three blocks": torch.rand(600) * 0.05 + 0.01,
        "an outlier": torch.cat([torch.rand(300) * 0.01, torch.tensor([3.0])]),
        "many": torch.rand(4096) * 0.02,
    }.items():
        offset = scales.mean()
        codes, state = F.quantize_blockwise(scales - offset, blocksize=256)
        restored = F.dequantize_blockwise(codes, state) + offset
        cases.append(
            {
                "name": name,
                "scales": b64(scales),
                "offset": offset.item(),
                "codes": b64(codes),
                "nestedAbsmax": b64(state.absmax),
                "restored": b64(restored),
            }
        )
    return cases


def write(path: str, content: dict) -> None:
    (ROOT / path).write_text(json.dumps({"versions": VERSIONS, **content}, indent=1) + "\n")


write("packages/nf4/src/goldens/bitsandbytes.json", {"cases": codec_cases()})
write(
    "packages/nf4/src/goldens/normal-float.json",
    {"mpmath": mpmath.__version__, "quantiles": quantiles(), "maps": normal_maps()},
)
write("packages/double-quant/src/goldens/bitsandbytes.json", {"map": b64(F.create_dynamic_map()), "cases": double_cases()})
