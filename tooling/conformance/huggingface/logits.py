"""What transformers computes with tiny models of every family, for the test that holds llama.cpp with our GGUF files to it.

    python tooling/conformance/huggingface/logits.py [FOLDER]

Loads the models of packages/gguf-writer/src/testing/logits-models.ts (written to FOLDER, or to a temporary one) in f32 with eager
attention and gives them 64 ids, the first of them BOS where config.json names one. Writes
packages/gguf-writer/src/goldens/logits.json: for each model the ids, the negative log likelihood of each but the first in nats, its
mean, and the likeliest eight ids after the last with their log probabilities.

ggml computes GELU through a table of f16 numbers, which is most of what llama.cpp's Gemmas differ by. So these are computed a second
time, as `rounded`, with the function that transformers has, given and giving f16 (ggml_vec_geglu_f32 in ggml/src/ggml-cpu/vec.h).
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

import torch
import transformers
from transformers import AutoModelForCausalLM

torch.set_num_threads(1)  # a sum over several threads depends on their number

ROOT = pathlib.Path(__file__).resolve().parents[3]
OUT = ROOT / "packages/gguf-writer/src/goldens/logits.json"
LENGTH = 64
# What a multimodal folder lacks; text needs none of it.
ABSENT = ("vision_tower.", "multi_modal_projector.")


def write_models(folder):
    script = ROOT / "packages/gguf-writer/src/testing/write-logits-models.ts"
    command = ["node", "--conditions=@qlora/source", "--import", "tsx", str(script), str(folder)]
    return json.loads(subprocess.run(command, cwd=ROOT / "tooling/conformance", check=True, stdout=subprocess.PIPE).stdout)


def ids_of(folder, name):
    config = json.loads((folder / "config.json").read_text("utf-8"))
    text = {**config, **config.get("text_config", {})}
    generator = torch.Generator().manual_seed(sum(name.encode()))
    ids = torch.randint(3, text["vocab_size"], (LENGTH,), generator=generator).tolist()
    return ids if text.get("bos_token_id") is None else [text["bos_token_id"], *ids[1:]]


class RoundedGelu(torch.nn.Module):
    def forward(self, x):
        gelu = torch.nn.functional.gelu(x.half().float(), approximate="tanh").half().float()
        return torch.where(x <= -10, torch.zeros_like(x), torch.where(x >= 10, x, gelu))


def said(model, ids):
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].double()
    log = logits.log_softmax(-1)
    losses = -log[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
    top = log[-1].topk(8)
    print(f"    cross entropy {losses.mean():.6f}, logits ± {logits.std():.2f}")
    return {
        "crossEntropy": round(losses.mean().item(), 7),
        "losses": [round(loss, 6) for loss in losses.tolist()],
        "top": [[int(id), round(value, 6)] for id, value in zip(top.indices, top.values.tolist())],
    }


def computed(folder, name):
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    for key in [*info["missing_keys"], *info["unexpected_keys"]]:
        assert any(part in key for part in ABSENT), (name, key)
    assert not info["mismatched_keys"], (name, info)
    print(f"{name}: {type(model).__name__}")
    ids = ids_of(folder, name)
    model.eval()
    result = {"ids": ids, **said(model, ids)}
    gates = [module for module in model.modules() if type(module).__name__ in ("Gemma2MLP", "Gemma3MLP")]
    for gate in gates:
        gate.act_fn = RoundedGelu()
    if gates:
        result["rounded"] = said(model, ids)
    return result


def main():
    with tempfile.TemporaryDirectory() as made:
        work = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else made)
        models = {name: computed(work / name, name) for name in write_models(work)}
    versions = {"transformers": transformers.__version__, "torch": torch.__version__}
    OUT.write_text(json.dumps({"versions": versions, "models": models}) + "\n", "utf-8")


main()
