"""Holds our GGUF files to those of llama.cpp: its converter for plain types, llama-quantize of the converter's f32 file for mixed
recipes. The same tensors in the same order, byte for byte, and the same metadata but for the keys in DIFFERENT.

    families.py LLAMA_CPP LLAMA_QUANTIZE WORK

LLAMA_CPP is a checkout of llama.cpp v0.5.0 (`git clone` of the gitRelease.bundle inside node-llama-cpp 3.22.1), LLAMA_QUANTIZE a
command that runs its llama-quantize, WORK a folder. Runs our exporter on tiny models of every family and tokenizer kind
(packages/gguf-writer/src/testing), builds each with transformers to see that its tensors are those of the class, and writes
packages/gguf-writer/src/goldens/families.json. Fails on any difference that is not listed.

Needs torch, transformers, sentencepiece, numpy and PyYAML. The converter tells pre-tokenizers by the hash of one text's ids, so
it knows those of real vocabularies only: here it is told the name, the rest of its work is its own.
"""
import contextlib
import hashlib
import io
import json
import logging
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
LLAMA, QUANTIZE, WORK = (pathlib.Path(argument).resolve() for argument in sys.argv[1:4])
sys.path[:0] = [str(LLAMA / "gguf-py"), str(LLAMA)]
sys.argv = sys.argv[:1]

import convert_hf_to_gguf
import gguf
import numpy
import torch
import transformers
from conversion.base import TextModel
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

PLAIN = ["f32", "f16", "bf16", "q8_0"]
# Keys that are not the same on purpose, and why; `*` stands for every model.
DIFFERENT = {
    "*": {
        "tokenizer.ggml.add_bos_token": "ours says it whenever there is a tokenizer.json; theirs leaves it to llama.cpp's default",
        "tokenizer.ggml.add_eos_token": "the same",
        "general.basename": "guessed from the folder's name",
        "general.version": "guessed from the folder's name",
        "general.finetune": "guessed from the folder's name",
    },
    "mistral": {"tokenizer.ggml.scores": "theirs writes -1000 for every token of a tokenizer.json; ours the ranks of merges"},
    "llama-model-only": {
        "tokenizer.ggml.unknown_token_id": "named in tokenizer_config.json; theirs looks for it in tokenizer.json only",
    },
    "gemma3-vision": {
        "tokenizer.ggml.unknown_token_id": "named in tokenizer_config.json; theirs looks for it in tokenizer.json only",
        "tokenizer.ggml.padding_token_id": "the same",
    },
}


def write_models():
    script = ROOT / "packages/gguf-writer/src/testing/write-models.ts"
    command = ["node", "--conditions=@qlora/source", "--import", "tsx", str(script), str(WORK)]
    return json.loads(subprocess.run(command, cwd=ROOT / "tooling/conformance", check=True, stdout=subprocess.PIPE).stdout)


def check_names(model):
    """The tensors of transformers' class, by name and shape."""
    folder = WORK / model["name"]
    if model["isMultimodal"]:
        return  # its vision part is left out of our folder
    with torch.device("meta"):
        built = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    theirs = {name: list(p.shape) for name, p in built.state_dict().items()}
    if built.config.tie_word_embeddings:
        theirs.pop("lm_head.weight", None)
    with open(folder / "model.safetensors", "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    ours = {name: info["shape"] for name, info in header.items()}
    assert ours == theirs, (model["name"], set(ours) ^ set(theirs))


def convert(model, kind, *options, name=""):
    out = WORK / (name or f"{model['name']}-{kind}.theirs.gguf")
    TextModel.get_vocab_base_pre = lambda self, tokenizer: model["pre"]
    sys.argv = ["convert", str(WORK / model["name"]), "--outfile", str(out), "--outtype", kind, "--model-name", model["name"], *options]
    with contextlib.redirect_stderr(io.StringIO()):
        convert_hf_to_gguf.main()
    return out


def quantize(model, kind, source):
    out = WORK / f"{model['name']}-{kind}.theirs.gguf"
    recipe, _, imatrix = kind.partition("+")
    options = ["--imatrix", "imatrix.gguf"] if imatrix else []
    command = [str(QUANTIZE), *options, str(source), str(out), recipe.upper()]
    run = subprocess.run(command, capture_output=True, text=True, cwd=WORK)
    assert run.returncode == 0, run.stdout + run.stderr
    return out


def read(path):
    file = gguf.GGUFReader(path)
    metadata = {key: [field.types[0].name, field.contents()] for key, field in file.fields.items() if not key.startswith("GGUF.")}
    tensors = [
        [t.name, t.tensor_type.name, [int(n) for n in t.shape[::-1]], hashlib.sha256(numpy.ascontiguousarray(t.data)).hexdigest()]
        for t in file.tensors
    ]
    return metadata, tensors


def shown(ours, theirs):
    if ours and theirs and isinstance(ours[1], list) and isinstance(theirs[1], list):
        wrong = [(i, a, b) for i, (a, b) in enumerate(zip(ours[1], theirs[1])) if a != b]
        return f"{len(ours[1])} and {len(theirs[1])} items, {len(wrong)} differ: {wrong[:5]}"
    return f"{str(ours)[:150]} where theirs is {str(theirs)[:150]}"


def compare(name, kind, ours, theirs):
    """Tensors that differ, and keys that differ beside the listed ones; and the listed ones that do."""
    (our_keys, our_tensors), (their_keys, their_tensors) = read(ours), read(theirs)
    wrong = [(a, b) for a, b in zip(our_tensors, their_tensors) if a != b]
    if len(our_tensors) != len(their_tensors) or wrong:
        print(f"{name} {kind}: {len(our_tensors)} and {len(their_tensors)} tensors, {len(wrong)} differ: {wrong[:3]}")
    listed = DIFFERENT["*"] | DIFFERENT.get(name, {})
    keys = [key for key in sorted({*our_keys, *their_keys}) if our_keys.get(key) != their_keys.get(key)]
    for key in keys:
        if key not in listed:
            print(f"{name} {kind}: {key}: {shown(our_keys.get(key), their_keys.get(key))}")
    failed = len(our_tensors) != len(their_tensors) or bool(wrong) or any(key not in listed for key in keys)
    return failed, keys, their_keys, their_tensors


def short(value):
    """A value as the golden has it: lists by the hash of their JSON."""
    kind, content = value
    if not isinstance(content, list):
        return value
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return [kind, len(content), hashlib.sha256(text.encode()).hexdigest()]


def digest(tensors):
    lines = "".join(f"{name} {kind.lower()} {shape} {sha}\n" for name, kind, shape, sha in tensors)
    return hashlib.sha256(lines.replace(", ", ",").encode()).hexdigest()


def main():
    logging.disable(logging.WARNING)
    WORK.mkdir(parents=True, exist_ok=True)
    models = write_models()
    golden, compared, differing, failures, count = {}, 0, set(), 0, 0
    for model in models:
        name = model["name"]
        check_names(model)
        plain = convert(model, "f32")
        golden[name] = {"types": {}}
        kinds = model["types"] + [f"{kind}+imatrix" for kind in model["weighted"]]
        for kind in kinds:
            theirs = plain if kind == "f32" else convert(model, kind) if kind in PLAIN else quantize(model, kind, plain)
            failed, keys, metadata, tensors = compare(name, kind, WORK / f"{name}-{kind}.ours.gguf", theirs)
            failures += failed
            compared += len(tensors)
            differing |= {(name, key) for key in keys}
            count += 1
            golden[name]["types"][kind] = digest(tensors)
            if kind == "f32":
                golden[name]["metadata"] = {key: short(value) for key, value in sorted(metadata.items())}
                golden[name]["different"] = sorted(keys)
    split = models[0]
    convert(split, "q8_0", "--split-max-size", "50K", name="theirs.gguf")
    for part in split["parts"]:
        theirs = WORK / part.replace(split["name"], "theirs")
        failed, _, metadata, tensors = compare(split["name"], part, WORK / part, theirs)
        failures += failed
        compared += len(tensors)
        count += 1
    print(f"split as {[len(read(WORK / part)[1]) for part in split['parts']]} tensors")
    for name, key in sorted(differing):
        print(f"listed: {name}: {key}")
    print(f"{len(models)} models, {count} files, {compared} tensors; {failures} files differ")
    if failures:
        sys.exit(1)
    out = ROOT / "packages/gguf-writer/src/goldens/families.json"
    versions = {"llama.cpp": "v0.5.0", "transformers": transformers.__version__, "torch": torch.__version__}
    out.write_text(json.dumps({"versions": versions, "models": golden}, ensure_ascii=False, indent=1) + "\n", "utf-8")


main()
