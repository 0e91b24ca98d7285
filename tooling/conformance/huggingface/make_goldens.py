"""Runs the real owners of the formats on our files and on their own, and writes what they say as golden files.

    pip install -r tooling/conformance/requirements.txt
    npm test   # or anything else that installs
    python tooling/conformance/huggingface/make_goldens.py NAME=MODEL_FOLDER …

For each model: transformers' logits of the plain checkpoint; the tensors that transformers with bitsandbytes saves for
it in 4 bits, by hash; the logits of our own 4-bit folder loaded by them; the logits of our own adapter loaded by PEFT on
top of that; and an adapter made by PEFT with the logits that it gives.
"""

import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import bitsandbytes
import peft
import safetensors.torch
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

ROOT = pathlib.Path(__file__).resolve().parents[3]
OUT = ROOT / "packages/models/src/goldens"
TEXT = "Once upon a time there was a small fox who lived by the river."
BNB = BitsAndBytesConfig(
    load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.float32
)
# The adapter that our tests train again: the same command gives the same bytes.
TRAIN = ["--data", str(ROOT / "apps/demo/data/pirate.jsonl"), "--steps", "3", "--batch-size", "2", "--rank", "4",
         "--alpha", "8", "--learning-rate", "0.01", "--warmup", "0", "--seed", "7", "--sequence-length", "64"]


def qlora(*args: str) -> None:
    subprocess.run([*"node tooling/bootstrap/bootstrap.mjs qlora".split(), *args], cwd=ROOT, check=True,
                   env={**__import__("os").environ, "INIT_CWD": str(ROOT)})


def last_logits(model, ids: torch.Tensor) -> list[float]:
    # With gradients on: without, bitsandbytes repacks weights for AVX-512 and refuses rows that 32 does not divide.
    model.get_input_embeddings().weight.requires_grad_(True)
    return [round(float(x), 6) for x in model(ids).logits[0, -1].float().detach()]


def hashes(path: pathlib.Path) -> dict[str, str]:
    result = {}
    with safetensors.safe_open(path, "pt") as file:
        for key in sorted(file.keys()):
            tensor = file.get_tensor(key)
            data = tensor.contiguous().view(torch.uint8).numpy().tobytes() if tensor.numel() else b""
            result[key] = f"{tensor.dtype} {list(tensor.shape)} {hashlib.sha256(data).hexdigest()[:16]}"
    return result


def main(name: str, folder: str) -> None:
    work = pathlib.Path(tempfile.mkdtemp())
    ids = AutoTokenizer.from_pretrained(folder)(TEXT, return_tensors="pt").input_ids
    golden = {
        "versions": {m.__name__: m.__version__ for m in (bitsandbytes, peft, torch, transformers)},
        "text": TEXT,
        "ids": ids[0].tolist(),
    }
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    golden["plain"] = last_logits(plain, ids)

    theirs = AutoModelForCausalLM.from_pretrained(folder, quantization_config=BNB, device_map="cpu", dtype=torch.float32)
    theirs.save_pretrained(work / "theirs")
    golden["quantizedTensors"] = hashes(work / "theirs/model.safetensors")

    qlora("quantize", folder, "--out", str(work / "ours"))
    ours = AutoModelForCausalLM.from_pretrained(work / "ours", device_map="cpu", dtype=torch.float32)
    assert type(ours.model.layers[0].self_attn.q_proj).__name__ == "Linear4bit"
    golden["quantized"] = last_logits(ours, ids)

    qlora("train", str(work / "ours"), "--out", str(work / "adapter"), *TRAIN)
    with_adapter = PeftModel.from_pretrained(ours, work / "adapter")
    golden["adapted"] = last_logits(with_adapter, ids)
    merged = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), work / "adapter")
    golden["mergedByPeft"] = last_logits(merged.merge_and_unload(), ids)

    # PEFT's own adapter, with factors that are not zero.
    torch.manual_seed(1)
    config = LoraConfig(r=2, lora_alpha=6, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    made = get_peft_model(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), config)
    made.peft_config["default"].base_model_name_or_path = name
    golden["peftAdapter"] = last_logits(made.eval(), ids)
    shutil.rmtree(OUT / f"{name}-peft-adapter", ignore_errors=True)
    made.save_pretrained(OUT / f"{name}-peft-adapter")
    (OUT / f"{name}-peft-adapter/README.md").unlink(missing_ok=True)

    (OUT / f"{name}.json").write_text(json.dumps(golden) + "\n")
    shutil.rmtree(work)


for argument in sys.argv[1:]:
    main(*argument.split("=", 1))
