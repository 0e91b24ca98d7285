"""Asks transformers which layers of an architecture it puts in 4 bits, and writes it as a golden of @qlora/convert.

    pip install -r tooling/conformance/requirements.txt
    python tooling/conformance/huggingface/linear_weights.py              # the golden
    python tooling/conformance/huggingface/linear_weights.py --all FILE   # every architecture that can be built, to FILE

No weights are needed: models are built on torch's meta device, from their default configs with a layer or two, and
`replace_with_bnb_linear` is run on them as the 4-bit quantizer runs it when nothing is said of skipped modules. Tensors have
the names and shapes that `save_pretrained` would give them.

    LINEAR_WEIGHTS=FILE npx vitest run --project convert linear-weights

holds our choice to every architecture of FILE.
"""

import json
import os
import pathlib
import sys
import warnings

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
warnings.simplefilter("ignore")

import bitsandbytes
import torch
import transformers
from transformers import CONFIG_MAPPING, BitsAndBytesConfig
from transformers.core_model_loading import revert_weight_conversion
from transformers.integrations.bitsandbytes import replace_with_bnb_linear
from transformers.models.auto import modeling_auto as auto
from transformers.pytorch_utils import Conv1D
from transformers.quantizers.base import HfQuantizer
from transformers.quantizers.quantizers_utils import should_convert_module

ROOT = pathlib.Path(__file__).resolve().parents[3]
OUT = ROOT / "packages/convert/src/goldens/linear-weights.json"
VERSIONS = {m.__name__: m.__version__ for m in (bitsandbytes, torch, transformers)}

TASKS = {
    "causal": auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    "masked": auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    "seq2seq": auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
    "classes": auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    "tokens": auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
    "image": auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
}

# One of each kind: Conv1D, fused layers, MLA, state spaces, experts of all sorts, tied and untied heads of every name, biases,
# encoders, classifiers with and without a bias, images, other classes, names and weights that change on loading.
CHOSEN = """
causal llama, causal mistral, causal qwen2, causal qwen3, causal qwen2_moe, causal qwen3_moe, causal mixtral, causal gemma,
causal gemma2, causal gemma3_text, causal phi, causal phi3, causal gpt2, causal openai-gpt, causal gpt_bigcode,
causal gpt_neox, causal gptj, causal gpt_neo, causal codegen, causal opt, causal bloom, causal falcon, causal mpt,
causal stablelm, causal starcoder2, causal cohere, causal olmo, causal olmo2, causal granite, causal granitemoe, causal ctrl,
causal deepseek_v2, causal deepseek_v3, causal deepseek_v4, causal gpt_oss, causal mamba, causal jamba, causal rwkv,
causal jetmoe, causal afmoe, causal nemotron_h, causal xlnet, causal bailing_hybrid,
causal whisper, masked bert, masked roberta, masked distilbert, masked electra, masked mobilebert, masked ibert, masked albert,
masked modernbert, masked nomic_bert, seq2seq t5, seq2seq bart, seq2seq switch_transformers, classes llama, classes gpt2,
classes bert, tokens qwen2, image llava, image gemma3, image blip-2, image qwen2_vl, image idefics3
""".replace("\n", " ").split(",")

LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers", "num_decoder_layers",
          "num_encoder_layers", "depth", "num_blocks")
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
# Layers that are needed to see one of each kind.
MORE_LAYERS = {"deepseek_v2": 2, "deepseek_v3": 4, "jamba": 5, "afmoe": 3, "nemotron_h": 8, "switch_transformers": 2}
KEPT_KEYS = ("model_type", "vocab_size", "tie_word_embeddings", "architectures")


def shrink(config) -> None:
    """Fewer layers and experts, in the config and its parts."""
    layers = MORE_LAYERS.get(config.model_type, 1)
    for keys, most in ((LAYERS, layers), (EXPERTS, 2)):
        for key in keys:
            value = getattr(config, key, None)
            if isinstance(value, int) and value > most:
                try:
                    setattr(config, key, most)
                except Exception:
                    pass
    if config.model_type == "gpt_neo":
        config.attention_layers, config.attention_types = ["global"], [[["global"], 1]]
    for key in getattr(config, "sub_configs", None) or {}:
        part = getattr(config, key, None)
        if hasattr(part, "sub_configs"):
            shrink(part)


def essentials(config: dict) -> dict:
    """What of a config the choice looks at."""
    kept = {key: config[key] for key in KEPT_KEYS if config.get(key) is not None}
    for key, value in config.items():
        if isinstance(value, dict) and "model_type" in value:
            kept[key] = essentials(value)
    return kept


def build(name: str, config) -> transformers.PreTrainedModel:
    model_class = getattr(transformers, name)
    with torch.device("meta"):
        return model_class._from_config(config)


def describe(task: str, model_type: str) -> dict:
    names = TASKS[task][model_type]
    name = names if isinstance(names, str) else names[0]
    config = CONFIG_MAPPING[model_type]()
    shrink(config)
    model = build(name, config)
    config.architectures = [name]

    linear = {n: type(m) for n, m in model.named_modules() if isinstance(m, Conv1D) or type(m) is torch.nn.Linear}
    tied = set(model.all_tied_weights_keys)
    tensors, files = {}, {}
    for parameter, value in model.state_dict().items():
        if parameter in tied:
            continue
        saved = revert_weight_conversion(model, {parameter: value})
        tensors.update({key: list(tensor.shape) for key, tensor in saved.items()})
        if parameter.removesuffix(".weight") in linear and list(saved) != [parameter]:
            files[parameter.removesuffix(".weight")] = list(saved)
    files.update({module: [] for module in linear if f"{module}.weight" in tied})

    kept = sorted(model._keep_in_fp32_modules or [])
    skipped = HfQuantizer.get_modules_to_not_convert(model, None, model._keep_in_fp32_modules)
    replace_with_bnb_linear(model, skipped, BitsAndBytesConfig(load_in_4bit=True))
    quantized = [n for n, m in model.named_modules() if isinstance(m, bitsandbytes.nn.Linear4bit)]
    return {
        "name": f"{task} {model_type}",
        "config": essentials(config.to_dict()),
        "tensors": tensors,
        # Modules that are in 4 bits by default, other linear ones, and Conv1D among them.
        "quantized": quantized,
        "dense": [module for module in linear if module not in quantized],
        "conv1d": [module for module, kind in linear.items() if issubclass(kind, Conv1D)],
        # Tensors of a module's weight, where it is not the module's name: none is in the file where it is tied.
        "files": files,
        # Patterns that hold whatever the config says.
        "kept": kept,
    }


def patterns() -> dict:
    """What the rule for skipped modules says, the rule itself being the peer: of each pattern the names that it matches."""
    names = ["lm_head", "model.layers.1.mlp.gate", "model.layers.1.mlp.gate_proj", "model.layers.11.mlp.gate_proj",
             "model.layers.1", "model.decoder.layers.23.fc1", "model.layers.1.mlp.experts.3.w1", "a", "a.b", "aab.c", "a.", ""]
    given = ["lm_head", "lm", "head", "model", "model.", "model.layers.1", "layers.1", "model.layers.*", "model.layers",
             "mlp.gate", r".*\.mlp\.gate", r".*mlp.gate", "fc1", "fc", "c1", r"model\.layers\.\d+", r"model\.layers\.1\d",
             r"model\.layers\.1{2}", r"model\.layers\.1{1,2}", r"model\.layers\.1{,3}", r"model\.layers\.1{2,}",
             "model.layers.(1|23)", "model.layers.(?:1|23)$", "^model$", "^$", "", ".", "..", ".*", ".+?", "a*", "a*b", "(a|b)+",
             "(a*)*", "(?:a|aa)+b", "[a-m]+", "[^a-m]+", "[]a]", "[^.]+", r"[\w.]+1", r"\w+", r"\w+\.\w+", r"[a\-]", "a{",
             "a{x}", "{a", "a{,}", "a|model", "|a", "()", "(|a)b", r"\S+gate", r"model\.[^.]+\.1\..*", ".*experts"]
    matched = {key: [i for i, name in enumerate(names) if not should_convert_module(name, [key])] for key in given}
    return {"names": names, "matched": matched}


def main() -> None:
    if sys.argv[1:2] == ["--all"]:
        models = []
        for task, mapping in TASKS.items():
            for model_type in mapping:
                try:
                    models.append(describe(task, model_type))
                except Exception as error:  # Some need packages, or a config that says more than its defaults.
                    print(f"{task} {model_type}: {error!r}"[:120], file=sys.stderr)
        pathlib.Path(sys.argv[2]).write_text(json.dumps({"versions": VERSIONS, "models": models}))
        print(f"{len(models)} architectures", file=sys.stderr)
        return
    models = [describe(*chosen.split()) for chosen in CHOSEN]
    lines = ",\n".join(json.dumps(model, separators=(",", ":")) for model in models)
    OUT.write_text(f'{{"versions":{json.dumps(VERSIONS)},\n"models":[\n{lines}\n],\n"patterns":{json.dumps(patterns())}}}\n')


main()
