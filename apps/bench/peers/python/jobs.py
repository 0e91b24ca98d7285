"""What the driver can run: the codec, products, a 4-bit layer with its adapter, and a training step.

What bitsandbytes does on a CPU, since its names do not say:
- quantize_4bit has no kernel there: it is a handful of torch operations (bucketize and packing).
- dequantize_4bit is a kernel in C++, with AVX-512 where the processor has it.
- A product in f32 or in training is dequantize_4bit and then torch's dense product ("dequantize").
- A product in inference on a processor with AVX512-BF16 is one fused kernel over weights that were packed for it
  ("fused"). It computes in bf16 whatever the input is. It has no backward.
"""

import os

import bitsandbytes as bnb
import bitsandbytes.functional as F
import numpy as np
import torch

THREADS = int(os.environ["OMP_NUM_THREADS"])
torch.set_num_threads(THREADS)
torch.set_num_interop_threads(1)

BLOCK = 64


def native_paths():
    fused = "has" if F.has_avx512bf16() else "lacks"
    return f"torch computes with {torch.backends.cpu.get_cpu_capability()}; bitsandbytes {fused} its fused bf16 kernel here"


def prepare(job):
    """A function that runs the job once, and one that says what the last run gave."""
    makers = {
        "quantize": quantize,
        "dequantize": dequantize,
        "matmul": matmul,
        "layer": layer,
        "training": training,
    }
    kind = job["kind"]
    if kind not in makers:
        raise ValueError(f"there is no job {kind}")
    return makers[kind](job)


def matrix(path, rows, columns):
    values = np.fromfile(path, dtype="<f4", count=rows * columns)
    return torch.from_numpy(values.reshape(rows, columns))


def weight_of(job):
    return matrix(job["weight"], job["outFeatures"], job["inFeatures"])


def check_of(tensor):
    flat = tensor.detach().float().flatten()
    return {"rms": flat.double().pow(2).mean().sqrt().item(), "head": flat[:16].tolist()}


def keeping(function):
    """`function` as a job, with a check of its last result, which may be a tuple that begins with a tensor."""
    last = [None]

    def run():
        last[0] = function()

    def check():
        result = last[0][0] if isinstance(last[0], tuple) else last[0]
        return check_of(result)

    return run, check


def quantize_weight(weight, compress_statistics):
    return F.quantize_4bit(weight, blocksize=BLOCK, quant_type="nf4", compress_statistics=compress_statistics)


def quantize(job):
    weight = weight_of(job)
    run, _ = keeping(lambda: quantize_weight(weight, False))
    return run, lambda: check_of(quantize_weight(weight, False)[1].absmax)


def dequantize(job):
    codes, state = quantize_weight(weight_of(job), False)
    return keeping(lambda: F.dequantize_4bit(codes, state))


def linear_4bit(weight, compute_dtype, compress_statistics):
    out_features, in_features = weight.shape
    linear = bnb.nn.Linear4bit(
        in_features,
        out_features,
        bias=False,
        compute_dtype=compute_dtype,
        compress_statistics=compress_statistics,
        quant_type="nf4",
        device="meta",
    )
    linear.weight = bnb.nn.Params4bit(
        weight,
        requires_grad=False,
        compress_statistics=compress_statistics,
        quant_type="nf4",
        blocksize=BLOCK,
        module=linear,
    )
    return linear.to("cpu")  # quantizes


def matmul(job):
    backward = job["direction"] == "backward"
    weight = weight_of(job)
    x = matrix(job["x"], job["rows"], job["outFeatures"] if backward else job["inFeatures"])
    variant = job["variant"]
    if variant == "dense f32":
        product = (lambda: x @ weight) if backward else (lambda: x @ weight.t())
    elif variant == "fused bf16":
        if backward:
            raise ValueError("the fused kernel has no backward")
        if not F.has_avx512bf16():
            raise ValueError("this processor lacks AVX512-BF16, which the fused kernel needs")
        linear = linear_4bit(weight, torch.bfloat16, False).eval()
        half = x.bfloat16()
        product = lambda: linear(half)
    elif variant in ("dequantize f32", "dequantize bf16"):
        dtype = torch.float32 if variant.endswith("f32") else torch.bfloat16
        linear = linear_4bit(weight, dtype, False).train()
        typed = x.to(dtype)
        codes, state = linear.weight, linear.weight.quant_state
        if backward:
            # As in bitsandbytes/autograd/_functions.py, MatMul4Bit.backward.
            product = lambda: torch.matmul(typed, F.dequantize_4bit(codes, state).to(dtype))
        else:
            product = lambda: linear(typed)
    else:
        raise ValueError(f"there is no product {variant}")

    def without_gradients():
        with torch.no_grad():
            return product()

    return keeping(without_gradients)


def lora_config(rank, targets):
    from peft import LoraConfig

    return LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, bias="none", target_modules=targets)


def layer(job):
    from peft import inject_adapter_in_model

    model = torch.nn.Module()
    model.proj = linear_4bit(weight_of(job), torch.float32, True)
    model.is_loaded_in_4bit = True  # PEFT picks its own 4-bit layer by this
    inject_adapter_in_model(lora_config(job["rank"], ["proj"]), model)
    model.train()
    x = matrix(job["x"], job["rows"], job["inFeatures"]).requires_grad_()
    dy = matrix(job["dy"], job["rows"], job["outFeatures"])

    def forward_backward():
        x.grad = None
        for parameter in model.parameters():
            parameter.grad = None
        y = model.proj(x)
        y.backward(dy)
        return y

    return keeping(forward_backward)


def llama(shape):
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=shape["hidden"],
        intermediate_size=shape["intermediate"],
        num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        num_key_value_heads=shape["keyHeads"],
        vocab_size=shape["vocabulary"],
        max_position_embeddings=shape["context"],
        tie_word_embeddings=True,
        use_cache=False,
    )
    model = LlamaForCausalLM(config).float()
    for block in model.model.layers:
        for part in (block.self_attn, block.mlp):
            for name, module in list(part.named_children()):
                if isinstance(module, torch.nn.Linear):
                    setattr(part, name, linear_4bit(module.weight.data, torch.float32, True))
    model.is_loaded_in_4bit = True
    return model


def training(job):
    from peft import get_peft_model, prepare_model_for_kbit_training

    torch.manual_seed(0)
    model = llama(job["model"])
    checkpointing = job["checkpointing"]
    model = prepare_model_for_kbit_training(
        model,
        use_gradient_checkpointing=checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if checkpointing else None,
    )
    model = get_peft_model(model, lora_config(job["rank"], "all-linear"))
    model.train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=2e-4, weight_decay=0.0)
    generator = torch.Generator().manual_seed(1)
    batch, length, vocabulary = job["batch"], job["sequenceLength"], job["model"]["vocabulary"]
    ids = torch.randint(vocabulary, (batch, length + 1), generator=generator)

    losses = []

    def step():
        logits = model(input_ids=ids[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())

    # Fresh adapters change nothing: the first loss is the base model's.
    return step, lambda: {"rms": losses[0], "head": []}
