"""A GGUF file of more than 4 GB, whole and in parts: written by `qlora export gguf`, loaded by llama.cpp, read by gguf-py.

large.py LLAMA_CPP [--type f16] [--layers 11]: a clone of llama.cpp, whose gguf-py is imported. Makes a checkpoint of random
weights with the layers of Llama 3 8B and a small vocabulary, exports it to one file and to parts of 1 GB, and compares:

- llama.cpp gives the same logits and the same greedy ids for both
- gguf-py finds every tensor of both at the same place of its data, with the same bytes

Prints sizes, seconds and the peak memory of each export. Takes 15 GB of disk in the system's folder for temporary files.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[3]
HERE = pathlib.Path(__file__).resolve().parent
TOKENIZER = ROOT / "apps/demo/model"
HIDDEN, INTERMEDIATE, HEADS, KEY_HEADS, VOCABULARY = 4096, 14336, 32, 8, 768


def shapes(layers: int) -> dict[str, list[int]]:
    keys = HIDDEN // HEADS * KEY_HEADS
    every = {"model.embed_tokens.weight": [VOCABULARY, HIDDEN], "model.norm.weight": [HIDDEN]}
    for i in range(layers):
        for name, shape in {
            "self_attn.q_proj": [HIDDEN, HIDDEN], "self_attn.k_proj": [keys, HIDDEN], "self_attn.v_proj": [keys, HIDDEN],
            "self_attn.o_proj": [HIDDEN, HIDDEN], "mlp.gate_proj": [INTERMEDIATE, HIDDEN],
            "mlp.up_proj": [INTERMEDIATE, HIDDEN], "mlp.down_proj": [HIDDEN, INTERMEDIATE],
            "input_layernorm": [HIDDEN], "post_attention_layernorm": [HIDDEN],
        }.items():
            every[f"model.layers.{i}.{name}.weight"] = shape
    return every


def write_checkpoint(folder: pathlib.Path, layers: int) -> None:
    header, end = {}, 0
    for name, shape in shapes(layers).items():
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = np.random.default_rng(1)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for shape in shapes(layers).values():
            count = int(np.prod(shape))
            for start in range(0, count, 1 << 24):
                part = min(1 << 24, count - start)
                values = np.ones(part, "f4") if len(shape) == 1 else rng.standard_normal(part, "f4") * np.float32(0.02)
                file.write((values.view("u4") >> 16).astype("u2").tobytes())
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE, "num_hidden_layers": layers, "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_HEADS, "vocab_size": VOCABULARY, "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5, "rope_theta": 10000, "hidden_act": "silu", "tie_word_embeddings": True,
        "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "bfloat16",
    }
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((TOKENIZER / name).read_bytes())


def export(model: pathlib.Path, out: pathlib.Path, *flags: str) -> dict:
    """Runs the command and gives its seconds and its peak memory in MB."""
    command = ["node", "--conditions=@qlora/source", "--import", "tsx", str(ROOT / "apps/cli/src/main.ts")]
    command = ["/usr/bin/time", "-f", "%e %M", *command, "export", "gguf", str(model), "--out", str(out), *flags, "--json"]
    run = subprocess.run(command, cwd=ROOT / "apps/cli", capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(run.stdout + run.stderr)
    seconds, kilobytes = run.stderr.strip().split("\n")[-1].split()
    files = sorted(out.parent.glob("*.gguf"))
    return {"files": len(files), "bytes": sum(file.stat().st_size for file in files), "seconds": float(seconds),
            "peak MB": int(kilobytes) // 1000}


def computed(path: pathlib.Path) -> dict:
    command = ["node", str(HERE / "large_logits.mjs"), str(path)]
    return json.loads(subprocess.check_output(command, text=True).strip().split("\n")[-1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("llama_cpp")
    parser.add_argument("--type", default="f16")
    parser.add_argument("--layers", type=int, default=11)
    options = parser.parse_args()
    sys.path.insert(0, f"{options.llama_cpp}/gguf-py")
    import gguf

    with tempfile.TemporaryDirectory() as work:
        model, whole, parts = (pathlib.Path(work, name) for name in ("model", "whole", "parts"))
        for folder in (model, whole, parts):
            folder.mkdir()
        write_checkpoint(model, options.layers)
        print("checkpoint", (model / "model.safetensors").stat().st_size, flush=True)
        flags = ["--type", options.type]
        print("whole", export(model, whole / "m.gguf", *flags), flush=True)
        print("parts", export(model, parts / "m.gguf", *flags, "--split-max-size", "1GB"), flush=True)
        os.remove(model / "model.safetensors")
        results = [computed(whole / "m.gguf"), computed(sorted(parts.glob("*.gguf"))[0])]
        print("llama.cpp", *results, sep="\n  ", flush=True)
        assert results[0]["logits"] == results[1]["logits"] and results[0]["ids"] == results[1]["ids"]
        one = gguf.GGUFReader(whole / "m.gguf").tensors
        many = [tensor for path in sorted(parts.glob("*.gguf")) for tensor in gguf.GGUFReader(path).tensors]
        assert [tensor.name for tensor in one] == [tensor.name for tensor in many]
        for a, b in zip(one, many, strict=True):
            assert a.tensor_type == b.tensor_type and np.array_equal(a.data, b.data), a.name
        last = max(one, key=lambda tensor: tensor.data_offset)
        assert last.data_offset > 2**32 or options.layers < 11
        print("gguf-py:", len(one), "tensors, the same bytes; the last at", last.data_offset, flush=True)


main()
