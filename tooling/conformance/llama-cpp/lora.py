"""Holds our GGUF files of LoRA adapters to those of llama.cpp's own converter: the same tensors in the same order, byte for byte,
and the same metadata but for the keys in DIFFERENT.

    lora.py LLAMA_CPP WORK

LLAMA_CPP is a checkout of llama.cpp v0.5.0 (`git clone` of the gitRelease.bundle inside node-llama-cpp 3.22.1), WORK a folder.
PEFT makes and saves an adapter for tiny models of every family (packages/gguf-writer/src/testing); `qlora export lora-gguf` and
convert_lora_to_gguf.py convert it. Writes packages/gguf-writer/src/goldens/lora.json: what PEFT saved (configuration, keys, types,
shapes), the scaling that PEFT has for each module, logits of PEFT's model to hold llama.cpp's to, and digests of the converter's
tensors. Fails on any difference that is not listed.

The converter writes `lora_alpha` whatever else the configuration says, so that rank-stabilized adapters and those with an
alpha_pattern get a wrong scaling in llama.cpp. Of these it is given an equivalent plain adapter.

Needs torch, transformers, peft and what the converter needs.
"""
import contextlib
import hashlib
import io
import json
import logging
import pathlib
import runpy
import subprocess
import sys
import warnings

ROOT = pathlib.Path(__file__).resolve().parents[3]
LLAMA, WORK = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
sys.path[:0] = [str(LLAMA / "gguf-py"), str(LLAMA)]

import gguf
import numpy
import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

TYPES = ["f32", "f16", "bf16", "q8_0"]
IDS = [3, 260, 261, 262, 300, 17, 301]
ALL = "all-linear"
NODE = ["node", "--conditions=@qlora/source", "--import", "tsx"]

# Keys that are not the same on purpose, and why.
DIFFERENT = {
    "general.name": "theirs is made of the folder's name, with capitals",
    "general.basename": "guessed from the folder's name",
    "general.finetune": "guessed from the folder's name",
    "general.version": "guessed from the folder's name",
    "general.tags": "from the model card that PEFT writes",
    "general.base_model.count": "the same",
    "general.base_model.0.name": "the same",
    "general.base_model.0.version": "the same",
    "general.base_model.0.organization": "the same",
    "general.base_model.0.repo_url": "the same",
}

# Name, tiny model, type of the adapter's tensors, configuration.
CASES = [
    ("llama", "llama-2", "float32", dict(r=8, lora_alpha=16, target_modules=ALL)),
    ("llama-embeddings", "llama-2", "float32", dict(r=4, lora_alpha=8, target_modules=["q_proj", "embed_tokens", "lm_head"])),
    ("llama-rank-32", "mistral", "bfloat16", dict(r=32, lora_alpha=16, target_modules=ALL)),
    ("llama-awkward", "smollm2", "float32", dict(r=3, lora_alpha=7, target_modules=["q_proj", "k_proj", "down_proj"])),
    ("llama-one-layer", "llama-3", "bfloat16", dict(r=2, lora_alpha=64, target_modules=["k_proj", "v_proj"], layers_to_transform=[1])),
    ("qwen2", "qwen2", "float16", dict(r=4, lora_alpha=4, target_modules=ALL)),
    ("qwen3", "qwen3", "float32", dict(r=32, lora_alpha=64, target_modules=ALL)),
    ("gemma2", "gemma2", "float32", dict(r=8, lora_alpha=8, target_modules=ALL)),
    ("gemma3", "gemma3", "bfloat16", dict(r=8, lora_alpha=12, target_modules=ALL)),
    ("phi3", "phi3", "float32", dict(r=8, lora_alpha=16, target_modules=ALL)),
    ("phi4", "phi4", "bfloat16", dict(r=4, lora_alpha=16, target_modules=["qkv_proj", "gate_up_proj"])),
    ("rank-stabilized", "qwen2", "float32", dict(r=8, lora_alpha=6, target_modules=ALL, use_rslora=True)),
    (
        "patterns",
        "llama-2",
        "float32",
        dict(
            r=8,
            lora_alpha=16,
            target_modules=ALL,
            rank_pattern={"q_proj": 2, "layers.0.mlp.up_proj": 5},
            alpha_pattern={"layers.1.self_attn.k_proj": 5, "(gate|up)_proj": 24},
        ),
    ),
    (
        "rank-stabilized-patterns",
        "phi3",
        "bfloat16",
        dict(r=8, lora_alpha=4, target_modules=ALL, use_rslora=True, rank_pattern={"o_proj": 2}, alpha_pattern={"o_proj": 3}),
    ),
]


def values(key, shape):
    """Numbers in ±0.1 by key and place, the same as in packages/gguf-writer/src/testing/tiny-loras.ts."""
    seed = 7
    for letter in key:
        seed = (seed * 31 + ord(letter)) % 2**32
    i = numpy.arange(numpy.prod(shape), dtype=numpy.uint64)
    mixed = (i * i * numpy.uint64(2246822519) + i * numpy.uint64(2654435761) + numpy.uint64(seed)) % numpy.uint64(2**32)
    return torch.from_numpy(((mixed / 2**32 - 0.5) * 0.2).astype(numpy.float32)).reshape(shape)


def make(name, model, dtype, options):
    """An adapter as PEFT saves it: its folder, the scaling of each module, and logits."""
    base = AutoModelForCausalLM.from_pretrained(WORK / model, dtype=torch.float32, attn_implementation="eager")
    adapted = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **options))
    for key, parameter in adapted.named_parameters():
        if "lora_" in key:
            saved = key.replace(".default", "")
            parameter.data = values(saved, parameter.shape).to(getattr(torch, dtype))
    adapted.peft_config["default"].base_model_name_or_path = model
    folder = WORK / f"adapter-{name}"
    adapted.save_pretrained(folder)
    adapted.float().eval()
    with torch.no_grad():
        logits = adapted(torch.tensor([IDS])).logits[0, -1]
        with adapted.disable_adapter():
            plain = adapted(torch.tensor([IDS])).logits[0, -1]
    scaling = {
        key.removeprefix("base_model.model."): module.scaling["default"]
        for key, module in adapted.named_modules()
        if hasattr(module, "lora_A")
    }
    return folder, scaling, logits, plain


def plain_twin(folder, scaling):
    """The same adapter for a converter that knows one alpha: B takes what its module is scaled by beside it."""
    config = json.loads((folder / "adapter_config.json").read_text())
    # All of one type, since safetensors sorts by type before names.
    tensors = {key: t.float() for key, t in load_file(folder / "adapter_model.safetensors").items()}
    name = lambda key: key.removeprefix("base_model.model.").removesuffix(".lora_B.weight")
    wanted = {key: scaling[name(key)] * t.shape[1] for key, t in tensors.items() if key.endswith("lora_B.weight")}
    rounded = [float(numpy.float32(alpha)) for alpha in wanted.values()]
    alpha = max(rounded, key=rounded.count)
    for key, own in wanted.items():
        if float(numpy.float32(own)) != alpha:
            tensors[key] = (tensors[key].double() * (own / alpha)).float()
    twin = WORK / f"{folder.name}.twin"
    twin.mkdir(exist_ok=True)
    save_file(tensors, twin / "adapter_model.safetensors")
    config |= {"lora_alpha": alpha, "use_rslora": False, "alpha_pattern": {}}
    (twin / "adapter_config.json").write_text(json.dumps(config))
    return twin


def convert(folder, model, kind):
    out = WORK / f"{folder.name}-{kind}.theirs.gguf"
    script = LLAMA / "convert_lora_to_gguf.py"
    sys.argv = [str(script), str(folder), "--base", str(WORK / model), "--outfile", str(out), "--outtype", kind]
    with contextlib.redirect_stderr(io.StringIO()):
        runpy.run_path(str(script), run_name="__main__")
    return out


def export(folder, model, kind):
    out = WORK / f"{folder.name}-{kind}.ours.gguf"
    command = [*NODE, str(ROOT / "apps/cli/src/main.ts"), "export", "lora-gguf", str(folder)]
    options = ["--base", str(WORK / model), "--out", str(out), "--type", kind, "--overwrite"]
    subprocess.run([*command, *options], cwd=ROOT / "tooling/conformance", check=True, capture_output=True)
    return out


def read(path):
    file = gguf.GGUFReader(path)
    metadata = {key: [field.types[0].name, field.contents()] for key, field in file.fields.items() if not key.startswith("GGUF.")}
    tensors = [
        [t.name, t.tensor_type.name, [int(n) for n in t.shape[::-1]], hashlib.sha256(numpy.ascontiguousarray(t.data)).hexdigest()]
        for t in file.tensors
    ]
    return metadata, tensors


def digest(tensors):
    lines = "".join(f"{name} {kind.lower()} {shape} {sha}\n" for name, kind, shape, sha in tensors)
    return hashlib.sha256(lines.replace(", ", ",").encode()).hexdigest()


def saved_tensors(folder):
    """Key, type and shape of all but the untouched weights of embeddings, in the order of the file."""
    with safe_open(folder / "adapter_model.safetensors", "pt") as file:
        slices = [(key, file.get_slice(key)) for key in file.offset_keys()]
        return [[key, part.get_dtype().lower(), part.get_shape()] for key, part in slices if ".base_layer." not in key]


def main():
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    WORK.mkdir(parents=True, exist_ok=True)
    script = ROOT / "packages/gguf-writer/src/testing/write-models.ts"
    subprocess.run([*NODE, str(script), str(WORK)], cwd=ROOT / "tooling/conformance", check=True, stdout=subprocess.DEVNULL)
    golden, failures, compared, listed = {}, 0, 0, set()
    for name, model, dtype, options in CASES:
        folder, scaling, logits, plain = make(name, model, dtype, options)
        needs_twin = bool(options.get("use_rslora") or options.get("alpha_pattern"))
        config = json.loads((folder / "adapter_config.json").read_text())
        if isinstance(config["target_modules"], list):
            config["target_modules"].sort()
        case = {"model": model, "config": config, "tensors": saved_tensors(folder), "scaling": scaling, "types": {}}
        source = plain_twin(folder, scaling) if needs_twin else folder
        for kind in TYPES:
            (our_keys, ours), (their_keys, theirs) = read(export(folder, model, kind)), read(convert(source, model, kind))
            keys = [key for key in sorted({*our_keys, *their_keys}) if our_keys.get(key) != their_keys.get(key)]
            unlisted = [key for key in keys if key not in DIFFERENT]
            listed |= {key for key in keys if key in DIFFERENT}
            wrong = [(a, b) for a, b in zip(ours, theirs) if a != b]
            if unlisted or wrong or len(ours) != len(theirs):
                failures += 1
                print(f"{name} {kind}: {len(ours)} and {len(theirs)} tensors, {len(wrong)} differ: {wrong[:2]}")
                for key in unlisted:
                    print(f"  {key}: {our_keys.get(key)} where theirs is {their_keys.get(key)}")
            compared += len(theirs)
            case["types"][kind] = digest(theirs)
            case["metadata"] = {key: value for key, value in their_keys.items() if key not in DIFFERENT}
        case["logits"] = [round(float(x), 6) for x in logits[:40]]
        case["plain"] = [round(float(x), 6) for x in plain[:40]]
        case["moved"] = round(float((logits - plain).abs().max()), 3)
        golden[name] = case
        print(f"{name}: {len(case['tensors'])} tensors of {dtype}, the adapter moves logits by up to {case['moved']}")
    print(f"{len(CASES)} adapters, {len(CASES) * len(TYPES)} files, {compared} tensors; {failures} files differ")
    for key in sorted(listed):
        print(f"listed: {key}: {DIFFERENT[key]}")
    if failures:
        sys.exit(1)
    out = ROOT / "packages/gguf-writer/src/goldens/lora.json"
    versions = {
        "llama.cpp": "v0.5.0",
        "peft": peft.__version__,
        "transformers": transformers.__version__,
        "torch": torch.__version__,
    }
    out.write_text(json.dumps({"versions": versions, "ids": IDS, "adapters": golden}, separators=(",", ":")) + "\n", "utf-8")


main()
