"""4-bit checkpoints that transformers and bitsandbytes wrote, for the test that turns them into GGUF and runs that in llama.cpp.

    python tooling/conformance/huggingface/to_gguf.py

Two folders as `save_pretrained` leaves them, model and tokenizer, in NF4 with double quantization, everything else bf16:

- llama: the demo's model (apps/demo/model);
- qwen2: two layers of random weights, biases in q, k and v, the byte-level tokenizer of packages/gguf-writer.

They are loaded again, as anyone would, and computed in f32. Writes apps/cli/src/goldens/bitsandbytes: the folders, and
expected.json, which has for each of them texts as ids, the cross entropy on each, and what greedy decoding goes on with.
"""

import json
import os
import pathlib
import shutil
import tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ["TORCHDYNAMO_DISABLE"] = "1"

import bitsandbytes
import torch
import transformers
from transformers import (AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, PreTrainedTokenizerFast, Qwen2Config,
                          Qwen2ForCausalLM)

# A sum over several threads depends on their number.
torch.set_num_threads(1)

ROOT = pathlib.Path(__file__).resolve().parents[3]
OUT = ROOT / "apps/cli/src/goldens/bitsandbytes"
DEMO = ROOT / "apps/demo/model"
BYTE_LEVEL = ROOT / "packages/gguf-writer/src/goldens/tokenizers/byte-level.json"
STORIES = [json.loads(line)["text"] for line in (ROOT / "apps/demo/data/pirate.jsonl").read_text("utf-8").splitlines()]
BNB = BitsAndBytesConfig(
    load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.bfloat16
)
TEXTS = STORIES[:4]
MOST_IDS = 200
GREEDY_IDS = 40


def qwen2(folder: pathlib.Path) -> None:
    """A Qwen2 of random weights. Rows are whole blocks of 64, where every path of bitsandbytes decodes right."""
    kinds = json.loads(BYTE_LEVEL.read_text("utf-8"))
    kind = kinds["kinds"]["qwen2"]
    tokenizer = {**kinds["base"], "pre_tokenizer": kind["pre_tokenizer"]}
    tokenizer["model"]["ignore_merges"] = kind["ignore_merges"]
    (folder / "made.json").write_text(json.dumps(tokenizer), "utf-8")
    fast = PreTrainedTokenizerFast(tokenizer_file=str(folder / "made.json"), eos_token="<|endoftext|>")
    (folder / "made.json").unlink()
    torch.manual_seed(2)
    model = Qwen2ForCausalLM(Qwen2Config(
        vocab_size=len(fast), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=True, bos_token_id=None,
        eos_token_id=fast.eos_token_id))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Enough that the model prefers some ids to others, and that a wrong bias shows.
            if "norm" not in name:
                parameter.normal_(0, 0.3 if name.endswith("bias") else 0.15)
    model.to(torch.bfloat16).save_pretrained(folder)
    fast.save_pretrained(folder)


def quantized(plain: pathlib.Path, folder: pathlib.Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(plain, quantization_config=BNB, device_map="cpu", dtype=torch.bfloat16)
    assert type(model.model.layers[0].self_attn.q_proj) is bitsandbytes.nn.Linear4bit
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(plain).save_pretrained(folder)


def said_of(folder: pathlib.Path) -> dict:
    """What transformers computes from a folder, in f32. 4-bit weights decode to bf16 first, as the checkpoint says."""
    model = AutoModelForCausalLM.from_pretrained(folder, device_map="cpu")
    # The loader leaves everything in bf16, whatever dtype it is given.
    for module in model.modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            module.compute_dtype = torch.float32
    for tensor in [*model.parameters(), *model.buffers()]:
        if tensor.is_floating_point():
            tensor.data = tensor.data.float()
    # Without gradients bitsandbytes takes another path on some processors, which repacks weights and computes in bf16.
    model.get_input_embeddings().weight.requires_grad_(True)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = []
    for text in TEXTS:
        ids = tokenizer(text, return_tensors="pt").input_ids[:, :MOST_IDS]
        logits = model(ids).logits[0, :-1].double()
        loss = torch.nn.functional.cross_entropy(logits, ids[0, 1:])
        texts.append({"ids": ids[0].tolist(), "crossEntropy": round(loss.item(), 7)})
    ids = texts[0]["ids"][:8]
    prompt = list(ids)
    margins = []
    for _ in range(GREEDY_IDS):
        last = model(torch.tensor([ids])).logits[0, -1]
        best = last.topk(2).values
        margins.append((best[0] - best[1]).item())
        ids.append(int(last.argmax()))
    print(f"{folder.name}: cross entropy {[text['crossEntropy'] for text in texts]}, closest choice {min(margins):.4f}")
    return {"text": TEXTS[0], "texts": texts, "prompt": prompt, "greedy": ids[len(prompt):]}


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    said = {"versions": {m.__name__: m.__version__ for m in (bitsandbytes, torch, transformers)}}
    with tempfile.TemporaryDirectory() as made:
        qwen2(pathlib.Path(made))
        for name, plain in {"llama": DEMO, "qwen2": pathlib.Path(made)}.items():
            quantized(plain, OUT / name)
            said[name] = said_of(OUT / name)
    (OUT / "expected.json").write_text(json.dumps(said) + "\n")


main()
