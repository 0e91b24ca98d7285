"""Writes the goldens of @qlora/safetensors: small files of the real libraries, which the reader must read and from which
the fuzzing of its tests starts. They go to `packages/safetensors/src/goldens/real`.

    pip install -r tooling/conformance/requirements.txt
    python tooling/conformance/safetensors/make_goldens.py ../shared/models/stories260K

- `stories260K.safetensors`: the header of the model of that name, every axis cut to 4, written by safetensors.
- `every-dtype.safetensors`: a tensor of each type that safetensors' Python package writes, empty ones and scalars.
- `bitsandbytes.safetensors`: 4-bit weights of bitsandbytes, their parts as transformers saves them.
- `sharded/`: a checkpoint in three files with its index, by huggingface_hub.
- `values.json`: what safetensors and bitsandbytes read from these, as hexadecimal.
"""

import json
import pathlib
import shutil
import sys

import bitsandbytes
import huggingface_hub
import safetensors
import torch
from huggingface_hub import save_torch_state_dict
from safetensors import deserialize
from safetensors.torch import load_file, save_file

GOLDENS = pathlib.Path(__file__).resolve().parents[3] / "packages/safetensors/src/goldens/real"
VERSIONS = {
    module.__name__: module.__version__ for module in (safetensors, bitsandbytes, huggingface_hub, torch)
}

INTEGERS = [torch.int8, torch.uint8, torch.int16, torch.uint16, torch.int32, torch.uint32, torch.int64, torch.uint64]
FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
SMALL = [
    torch.float8_e4m3fn, torch.float8_e4m3fnuz, torch.float8_e5m2, torch.float8_e5m2fnuz, torch.float8_e8m0fnu,
    torch.float4_e2m1fn_x2,
]


def bytes_of(tensor: torch.Tensor) -> str:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes().hex() if tensor.numel() else ""


def every_dtype() -> dict[str, torch.Tensor]:
    def noise(count: int) -> torch.Tensor:
        return torch.randint(0, 256, (count,), dtype=torch.uint8)

    tensors = {f"{dtype}": noise(48).view(dtype) for dtype in [*INTEGERS, *FLOATS, *SMALL]}
    tensors["torch.bool"] = torch.tensor([True, False, True])
    tensors["torch.complex64"] = torch.randn(3, dtype=torch.complex64)
    tensors["scalar"] = torch.tensor(1.5, dtype=torch.bfloat16)
    tensors["empty"] = torch.zeros(3, 0, 2)
    tensors["cube"] = torch.arange(24, dtype=torch.int16).reshape(2, 3, 4)
    return tensors


def four_bit() -> dict[str, torch.Tensor]:
    """Two weights as `QuantState.as_dict(packed=True)` has their parts, which is what transformers saves.

    Rows are as long as blocks: the AVX-512 code of bitsandbytes 0.50.2 decodes others with wrong scales.
    """
    tensors = {}
    for name, scheme, nested in (("nf4.weight", "nf4", True), ("fp4.weight", "fp4", False)):
        weight = torch.randn(9, 64, dtype=torch.bfloat16)
        codes, state = bitsandbytes.functional.quantize_4bit(
            weight, blocksize=64, quant_type=scheme, compress_statistics=nested
        )
        tensors[name] = codes
        for key, value in state.as_dict(packed=True).items():
            tensors[f"{name}.{key}"] = value
    tensors["norm.weight"] = torch.randn(48, dtype=torch.bfloat16)
    return tensors


def four_bit_values(tensors: dict[str, torch.Tensor]) -> dict[str, str]:
    values = {}
    for name in ("nf4.weight", "fp4.weight"):
        parts = {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
        state = bitsandbytes.functional.QuantState.from_dict(parts, device=torch.device("cpu"))
        state.dtype = torch.float32
        values[name] = bytes_of(bitsandbytes.functional.dequantize_4bit(tensors[name], state))
    return values


def main() -> None:
    torch.manual_seed(4)
    torch.set_num_threads(1)
    shutil.rmtree(GOLDENS, ignore_errors=True)
    GOLDENS.mkdir(parents=True)
    values: dict[str, dict[str, str]] = {}

    stories = load_file(pathlib.Path(sys.argv[1]) / "model.safetensors")
    cut = {name: tensor[tuple(slice(4) for _ in tensor.shape)].clone() for name, tensor in stories.items()}
    save_file(cut, GOLDENS / "stories260K.safetensors", metadata={"format": "pt"})
    save_file(every_dtype(), GOLDENS / "every-dtype.safetensors")
    save_file(four_bit(), GOLDENS / "bitsandbytes.safetensors", metadata={"format": "pt"})
    for path in sorted(GOLDENS.glob("*.safetensors")):
        values[path.name] = {name: bytes(view["data"]).hex() for name, view in sorted(deserialize(path.read_bytes()))}
    values["bitsandbytes.safetensors, dequantized"] = four_bit_values(
        load_file(GOLDENS / "bitsandbytes.safetensors")
    )

    sharded = GOLDENS / "sharded"
    sharded.mkdir()
    some = {name: cut[name] for name in sorted(cut)[:12]}
    save_torch_state_dict(some, sharded, max_shard_size=256)
    assert len(list(sharded.glob("*.safetensors"))) == 3, "another size of shards is needed"
    values["sharded"] = {name: bytes_of(tensor) for name, tensor in sorted(some.items())}

    # safetensors makes files that only their owner can read.
    for path in GOLDENS.rglob("*.safetensors"):
        path.chmod(0o644)
    with open(GOLDENS / "values.json", "w") as file:
        json.dump({"versions": VERSIONS, "values": values}, file, indent=1)
        file.write("\n")


main()
