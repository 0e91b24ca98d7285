"""Writes the goldens of @qlora/nf4 and @qlora/double-quant: what bitsandbytes' CPU build makes of given values.

    pip install -r tooling/conformance/requirements.txt
    python tooling/conformance/bitsandbytes/make_goldens.py
"""

import base64
import json
import pathlib

import bitsandbytes
import bitsandbytes.functional as F
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


def codec_cases() -> list[dict]:
    cases = []
    for scheme in ("nf4", "fp4"):
        for name, values in inputs(scheme).items():
            for block_size in (64, 256) if name == "normal" else (64,):
                codes, state = F.quantize_4bit(values, blocksize=block_size, quant_type=scheme)
                back = F.dequantize_4bit(codes, state)
                cases.append(
                    {
                        "name": name,
                        "scheme": scheme,
                        "blockSize": block_size,
                        "values": b64(values),
                        "codes": b64(codes),
                        "absmax": b64(state.absmax),
                        "dequantized": b64(back),
                    }
                )
    return cases


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
write("packages/double-quant/src/goldens/bitsandbytes.json", {"map": b64(F.create_dynamic_map()), "cases": double_cases()})
