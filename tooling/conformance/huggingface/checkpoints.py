"""4-bit checkpoints of transformers and bitsandbytes, read by us and written by us.

    pip install -r tooling/conformance/requirements.txt
    npm test   # or anything else that installs
    python tooling/conformance/huggingface/checkpoints.py            # all checks, and the goldens
    python tooling/conformance/huggingface/checkpoints.py --no-write # all checks

Models are small ones of random weights, with sizes that blocks do not divide, tied and not, with biases, in f32, f16 and
bf16, in one file and in several; and stories260K, if it lies in ../shared. For each of them, in NF4 and FP4, with and without
double quantization:

1. transformers quantizes it and saves it. What we decode from that is, byte for byte, what bitsandbytes decodes.
2. `qlora quantize` writes it in shards of 50 KB. transformers loads that: no key is missing or too many, the 4-bit modules
   are those of 1, and so are all tensors, byte for byte.
3. The same with modules left out.

Other architectures go through the second step in NF4: embeddings and heads of other names, experts, routers, layers of an
encoder and a decoder, layers that transformers keeps in f32, names that change on loading.

Beside that, 4-bit weights of every block size, shape, type and storage that bitsandbytes has, saved without a model. The
first of each kind become goldens: `packages/safetensors/src/goldens/bitsandbytes` and `packages/convert/src/goldens/models`.

bitsandbytes' decoder is its own generic one (backends/default/ops.py), which does what its CUDA kernels do. Its AVX-512
kernel takes wrong scales where the length of rows is a multiple of 16 and not of the block size; where rows are other, it is
compared too.
"""

import argparse
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
# bitsandbytes compiles its generic code for each shape, which takes longer than running it.
os.environ["TORCHDYNAMO_DISABLE"] = "1"

import bitsandbytes
import bitsandbytes.functional as F
import safetensors.torch
import torch
import transformers
from bitsandbytes.backends.default.ops import _dequantize_4bit_compute
from bitsandbytes.backends.utils import _get_4bit_code
from transformers import (CONFIG_MAPPING, AutoModelForCausalLM, AutoModelForImageTextToText, AutoModelForMaskedLM,
                          AutoModelForSeq2SeqLM, AutoModelForSequenceClassification, BitsAndBytesConfig, GPT2Config,
                          GPT2LMHeadModel, MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM)

# A sum over several threads depends on their number.
torch.set_num_threads(1)

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
READ_GOLDENS = ROOT / "packages/safetensors/src/goldens/bitsandbytes"
WRITE_GOLDENS = ROOT / "packages/convert/src/goldens/models"
STORIES = ROOT.parent / "shared/models/stories260K"
VERSIONS = {m.__name__: m.__version__ for m in (bitsandbytes, torch, transformers)}
NAMES = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16"}
SMALL = {"vocab_size": 61, "num_hidden_layers": 1, "bos_token_id": 1, "eos_token_id": 2}


def models() -> dict[str, tuple]:
    """Name, model, and the size of its shards. Sizes are such that blocks of 64 run over the ends of rows."""
    torch.manual_seed(260)
    qwen2 = Qwen2Config(hidden_size=40, intermediate_size=58, num_attention_heads=4, num_key_value_heads=2,
                        tie_word_embeddings=True, **SMALL)
    mistral = MistralConfig(hidden_size=36, intermediate_size=51, num_attention_heads=6, num_key_value_heads=3, head_dim=6,
                            tie_word_embeddings=False, **SMALL)
    gpt2 = GPT2Config(n_embd=15, n_head=3, n_positions=24, n_inner=47, **SMALL)
    return {
        "qwen2": (spread(Qwen2ForCausalLM(qwen2)).to(torch.bfloat16), "1GB"),
        "mistral": (spread(MistralForCausalLM(mistral)).to(torch.float16), "8KB"),
        "gpt2": (spread(GPT2LMHeadModel(gpt2)), "1GB"),
        # Of sizes that real ones have, in more than one layer; too large for goldens.
        "qwen2, untied": (spread(Qwen2ForCausalLM(Qwen2Config(**{
            **SMALL, "hidden_size": 128, "intermediate_size": 320, "num_attention_heads": 4, "num_key_value_heads": 2,
            "tie_word_embeddings": False, "num_hidden_layers": 3}))), "200KB"),
        "gpt2, two layers": (spread(GPT2LMHeadModel(GPT2Config(**{
            **SMALL, "n_embd": 64, "n_head": 4, "n_positions": 32, "num_hidden_layers": 2}))).to(torch.bfloat16), "50KB"),
    }


LLAMA_LIKE = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
VISION = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_hidden_layers": 1, "image_size": 28,
          "patch_size": 14}
OTHERS = {
    AutoModelForCausalLM: {
        "gpt_neox": {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4},
        "qwen2_moe": {**LLAMA_LIKE, "num_experts": 4, "moe_intermediate_size": 24, "shared_expert_intermediate_size": 40},
        "mixtral": {**LLAMA_LIKE, "num_local_experts": 3},
        "afmoe": {**LLAMA_LIKE, "num_hidden_layers": 2, "num_dense_layers": 1, "num_experts": 4, "moe_intermediate_size": 24,
                  "layer_types": ["full_attention"] * 2},
        "phi3": {**LLAMA_LIKE, "pad_token_id": 0},
        "gemma2": LLAMA_LIKE,
        "opt": {"hidden_size": 32, "ffn_dim": 48, "num_attention_heads": 4, "word_embed_proj_dim": 24},
        "bloom": {"hidden_size": 32, "n_head": 4},
        "bailing_hybrid": {**LLAMA_LIKE, "num_experts": 4, "moe_intermediate_size": 24, "pad_token_id": 0},
        "openai-gpt": {"n_embd": 32, "n_head": 4, "n_layer": 1},
        "ctrl": {"n_embd": 32, "n_head": 4, "n_layer": 1, "dff": 48},
        "mamba": {"hidden_size": 32, "state_size": 8},
    },
    AutoModelForMaskedLM: {
        "bert": {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4},
        "roberta": {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4},
    },
    AutoModelForSequenceClassification: {
        "bert": {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4},
        "gemma": {**LLAMA_LIKE, "pad_token_id": 0},
    },
    AutoModelForSeq2SeqLM: {
        "t5": {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 1, "num_heads": 4},
        "bart": {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48,
                 "encoder_attention_heads": 4, "decoder_attention_heads": 4},
    },
    AutoModelForImageTextToText: {
        "gemma3": {"text_config": {**SMALL, **LLAMA_LIKE}, "vision_config": VISION},
        "qwen2_vl": {"text_config": {**SMALL, **LLAMA_LIKE,
                                     "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2]}},
                     "vision_config": {"embed_dim": 32, "hidden_size": 32, "depth": 1, "num_heads": 4}},
    },
}


def spread(model):
    """Weights of several sizes, so that the scales of blocks differ; biases that are not zero."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * (0.02 + 0.2 * torch.rand(parameter.shape[0]).reshape(
                -1, *[1] * (parameter.dim() - 1))))
    return model


def qlora(*args: str) -> None:
    subprocess.run([*"node tooling/bootstrap/bootstrap.mjs qlora".split(), *args], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL, env={**os.environ, "INIT_CWD": str(ROOT)})


def ours(paths: list[pathlib.Path]) -> dict[str, dict[str, str]]:
    """What our reader makes of the weights in folders and files."""
    command = ["node", "--conditions=@qlora/source", "--import", "tsx", "huggingface/dequantized.ts", *map(str, paths)]
    return json.loads(subprocess.run(command, cwd=HERE.parent, check=True, capture_output=True, text=True).stdout)


def raw(tensor: torch.Tensor) -> bytes:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def described(tensor: torch.Tensor) -> str:
    return f"{NAMES[tensor.dtype]} {list(tensor.shape)} {hashlib.sha256(raw(tensor)).hexdigest()[:16]}"


def decoded(codes: torch.Tensor, state: F.QuantState) -> torch.Tensor:
    """What bitsandbytes decodes, by its generic code; by its kernel for this processor too, where that is right."""
    absmax = state.absmax.float()
    if state.nested:
        absmax = F.dequantize_blockwise(state.absmax, state.state2) + state.offset
    compute = getattr(_dequantize_4bit_compute, "__wrapped__", _dequantize_4bit_compute)
    code = _get_4bit_code(state.quant_type, codes.device)
    generic = compute(codes.contiguous().view(torch.uint8).reshape(-1), absmax, code, state.blocksize, state.shape, state.dtype)
    if state.shape[-1] % state.blocksize == 0 or state.shape[-1] % 16 != 0:
        assert torch.equal(F.dequantize_4bit(codes, state).reshape(generic.shape), generic)
    return generic.reshape(state.shape)


def modules_of(model) -> dict[str, torch.nn.Module]:
    return {name: m for name, m in model.named_modules() if isinstance(m, bitsandbytes.nn.Linear4bit)}


def decoded_of(model) -> dict[str, str]:
    return {f"{name}.weight": described(decoded(m.weight.data, m.weight.quant_state))
            for name, m in sorted(modules_of(model).items())}


def tensors_of(folder: pathlib.Path) -> dict[str, tuple]:
    """All tensors of a folder's files, by type, shape and bytes."""
    tensors = {}
    for file in folder.glob("*.safetensors"):
        for name, tensor in safetensors.torch.load_file(file).items():
            tensors[name] = (str(tensor.dtype), list(tensor.shape), raw(tensor))
    return tensors


def load(folder: pathlib.Path, kind=AutoModelForCausalLM):
    """Our folder in transformers, which must find in it what it looks for, and nothing else."""
    model, info = kind.from_pretrained(folder, device_map="cpu", output_loading_info=True)
    wrong = {key: sorted(value) for key, value in info.items() if value}
    assert not wrong, f"{folder}: {wrong}"
    return model


def check_model(name: str, plain: pathlib.Path, work: pathlib.Path) -> dict[str, dict]:
    """1 to 3 of above for a model. Gives what transformers saved, by variant."""
    saved = {}
    for scheme in ("nf4", "fp4"):
        for double in (True, False):
            variant = f"{name}, {scheme}{', double' if double else ''}"
            config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type=scheme, bnb_4bit_use_double_quant=double)
            model = AutoModelForCausalLM.from_pretrained(plain, quantization_config=config, device_map="cpu")
            theirs = work / variant / "theirs"
            model.save_pretrained(theirs, max_shard_size="10KB")
            expected = decoded_of(model)

            flags = ["--scheme", scheme, "--max-shard-size", "50KB", *([] if double else ["--no-double-quant"])]
            written = work / variant / "ours"
            qlora("quantize", str(plain), "--out", str(written), *flags)
            assert decoded_of(load(written)) == expected, variant
            assert tensors_of(written) == tensors_of(theirs), variant

            left = "mlp.down_proj" if name not in ("gpt2", "gpt2, two layers") else "mlp.c_proj"
            config.llm_int8_skip_modules = [left, "lm_head"]
            model = AutoModelForCausalLM.from_pretrained(plain, quantization_config=config, device_map="cpu")
            model.save_pretrained(work / variant / "theirs, skipping")
            skipping = work / variant / "ours, skipping"
            qlora("quantize", str(plain), "--out", str(skipping), "--skip-modules", left, *flags)
            assert modules_of(load(skipping)).keys() == modules_of(model).keys(), variant
            assert len(modules_of(model)) < len(expected), variant
            assert tensors_of(skipping) == tensors_of(work / variant / "theirs, skipping"), variant

            read = ours([theirs, written, skipping])
            assert read[str(theirs)] == expected, (variant, read[str(theirs)], expected)
            assert read[str(written)] == expected, variant
            assert read[str(skipping)] == decoded_of(model), variant
            saved[variant] = {"folder": theirs, "decoded": expected}
            print(f"{variant}: {len(expected)} weights, {len(list(written.glob('*.safetensors')))} files of ours")
    return saved


def check_other(kind, model_type: str, options: dict, work: pathlib.Path) -> None:
    """That transformers loads what we write of another architecture, as if it had quantized it itself."""
    torch.manual_seed(5)
    options = options if "text_config" in options else {**SMALL, **options}
    name = f"{kind.__name__} {model_type}"
    spread(kind.from_config(CONFIG_MAPPING[model_type](**options))).save_pretrained(work / name)
    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)
    expected = decoded_of(kind.from_pretrained(work / name, quantization_config=config, device_map="cpu"))
    qlora("quantize", str(work / name), "--out", str(work / name / "ours"))
    assert expected and decoded_of(load(work / name / "ours", kind)) == expected, name
    skipped = json.loads((work / name / "ours/config.json").read_text())["quantization_config"]["llm_int8_skip_modules"]
    print(f"{name}: {len(expected)} weights, skipping {skipped}")


def weights_of_every_kind() -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Weights of each block size, shape, type and storage, as `Linear4bit` saves them, and what they decode to."""
    torch.manual_seed(64)
    tensors, expected = {}, {}
    kinds = [(scheme, 64, double, dtype, torch.uint8, shape)
             for scheme in ("nf4", "fp4") for double in (True, False) for dtype in NAMES
             for shape in ((9, 14), (5, 7))]
    kinds += [("nf4", size, True, torch.float32, torch.uint8, (3, 1, 200)) for size in (32, 128, 256, 512, 1024, 2048, 4096)]
    kinds += [("fp4", size, False, torch.bfloat16, torch.uint8, (129,)) for size in (32, 128, 4096)]
    kinds += [("nf4", 64, double, torch.bfloat16, storage, (6, 24)) for double in (True, False)
              for storage in (torch.bfloat16, torch.float16, torch.float32, torch.float64, torch.int8)]
    # More than 256 blocks, so that nested scales have more than one block, the last one short.
    kinds += [("nf4", 32, True, torch.bfloat16, torch.uint8, (93, 97))]
    for number, (scheme, size, double, dtype, storage, shape) in enumerate(kinds):
        values = (torch.randn(shape) * (0.05 + torch.rand(shape[0]).reshape(-1, *[1] * (len(shape) - 1)))).to(dtype)
        codes, state = F.quantize_4bit(values, blocksize=size, compress_statistics=double, quant_type=scheme,
                                       quant_storage=storage)
        keep(tensors, expected, f"{number}.weight", codes, state)
    # What from_dict takes besides: scales in half precision, which decoding widens, and nested blocks of another size.
    codes, state = F.quantize_4bit(torch.randn(9, 15), quant_type="nf4", compress_statistics=False)
    state.absmax = state.absmax.half()
    keep(tensors, expected, "half scales.weight", codes, state)
    codes, state = F.quantize_4bit(torch.randn(70, 65), quant_type="nf4", compress_statistics=False)
    state.offset = state.absmax.mean()
    qabsmax, state.state2 = F.quantize_blockwise(state.absmax - state.offset, blocksize=64)
    state.absmax = qabsmax
    state.nested = True
    keep(tensors, expected, "small nested blocks.weight", codes, state)
    return tensors, expected


def keep(tensors: dict, expected: dict, name: str, codes: torch.Tensor, state: F.QuantState) -> None:
    """A weight's tensors, and what it decodes to as it is read, not as it was made."""
    stats = {f"{name}.{key}": value.contiguous().clone() for key, value in state.as_dict(packed=True).items()}
    tensors.update({name: codes, **stats})
    expected[name] = described(decoded(codes, F.QuantState.from_dict(dict(stats), device=torch.device("cpu"))))


def hashes_of(folder: pathlib.Path) -> dict[str, str]:
    """Types, shapes and hashes of a folder's tensors; of 4-bit weights the codebooks are left out, which are all the same."""
    return {name: f"{dtype.removeprefix('torch.')} {shape} {hashlib.sha256(data).hexdigest()[:12]}"
            for name, (dtype, shape, data) in sorted(tensors_of(folder).items()) if not name.endswith("quant_map")}


def copy_golden(source: pathlib.Path, target: pathlib.Path) -> None:
    """A folder's config and weights."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for file in sorted(source.iterdir()):
        if file.name == "config.json" or "safetensors" in file.name:
            shutil.copy(file, target / file.name)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--no-write", action="store_true")
    write = not parser.parse_args().no_write
    work = pathlib.Path(tempfile.mkdtemp())
    plain = {}
    for name, (model, shard_size) in models().items():
        plain[name] = work / name
        model.save_pretrained(plain[name], max_shard_size=shard_size)
    if STORIES.exists():
        plain["stories260K"] = STORIES
    else:
        print(f"stories260K is left out: {STORIES} is not there", file=sys.stderr)
    saved = {}
    for name, folder in plain.items():
        saved.update(check_model(name, folder, work))

    for kind, types in OTHERS.items():
        for model_type, options in types.items():
            check_other(kind, model_type, options, work)

    # As FSDP wants it: codes in the type of the other weights.
    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                                bnb_4bit_quant_storage=torch.float16)
    model = AutoModelForCausalLM.from_pretrained(plain["mistral"], quantization_config=config, device_map="cpu")
    model.save_pretrained(work / "fsdp", max_shard_size="10KB")
    saved["mistral, stored as f16"] = {"folder": work / "fsdp", "decoded": decoded_of(model)}
    assert ours([work / "fsdp"])[str(work / "fsdp")] == decoded_of(model)

    tensors, expected = weights_of_every_kind()
    every = work / "every-kind.safetensors"
    safetensors.torch.save_file(tensors, every)
    read = ours([every])[str(every)]
    assert read == dict(sorted(expected.items())), [key for key in expected if read[key] != expected[key]]
    print(f"{len(expected)} weights of every kind")

    if write:
        READ_GOLDENS.mkdir(parents=True, exist_ok=True)
        goldens = {"versions": VERSIONS, "every-kind.safetensors": expected}
        shutil.copy(every, READ_GOLDENS / every.name)
        for folder, variant in {"qwen2-nf4": "qwen2, nf4, double", "gpt2-fp4": "gpt2, fp4",
                                "mistral-f16-storage": "mistral, stored as f16"}.items():
            copy_golden(saved[variant]["folder"], READ_GOLDENS / folder)
            goldens[folder] = saved[variant]["decoded"]
        (READ_GOLDENS / "decoded.json").write_text(json.dumps(goldens, indent=1) + "\n")
        for name in ("qwen2", "mistral", "gpt2"):
            copy_golden(plain[name], WRITE_GOLDENS / name)
        hashes = {variant: hashes_of(one["folder"]) for variant, one in saved.items()
                  if variant in (f"{name}, {scheme}{double}" for name in ("qwen2", "mistral", "gpt2")
                                 for scheme in ("nf4", "fp4") for double in ("", ", double"))}
        (WRITE_GOLDENS / "quantized.json").write_text(json.dumps({"versions": VERSIONS, **hashes}, indent=0) + "\n")
    shutil.rmtree(work)


main()
