"""Holds our Modelfiles to Ollama and to transformers, on the chat templates of real models.

    make_goldens.py LLAMA_CPP

LLAMA_CPP is a checkout of llama.cpp v0.5.0 (`git clone` of the gitRelease.bundle inside node-llama-cpp 3.22.1), which has many
models' chat templates in models/templates and tests/test-chat-template.cpp; more come with Ollama (template/index.json). For each
of them: the Modelfile that our code writes, what Ollama's own parser and template packages make of it (main.go, built with go),
and the text that transformers' apply_chat_template gives. A Modelfile with a TEMPLATE whose prompt is not transformers' text,
character for character, in each chat that the chat template takes, fails the run. Writes
packages/ollama/src/goldens/chat.json for the families in GOLDEN, and prints a table of all.

Two things are taken from transformers' text: the BOS, where Ollama puts it in front by itself, and the clock (strftime_now),
since a golden must not change with the day; templates take their fixed date instead. Needs transformers.
"""
import ast
import hashlib
import json
import pathlib
import re
import subprocess
import sys

import transformers
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
LLAMA = pathlib.Path(sys.argv[1]).resolve()
WRITER = ROOT / "packages/ollama"
GOLDEN = WRITER / "src/goldens/chat.json"
OLLAMA = "github.com/ollama/ollama"

SYSTEM = {"role": "system", "content": "Answer briefly.\nIn English."}
TALK = [
    {"role": "user", "content": "Hello, how are you?"},
    {"role": "assistant", "content": "Fine.\n\n- as always"},
    {"role": "user", "content": "Wie spät ist es? {{ x }} <b>"},
    {"role": "assistant", "content": "12:30"},
    {"role": "user", "content": "谢谢"},
]
CHATS = [TALK[:1], [SYSTEM, *TALK[:1]], TALK[:3], [SYSTEM, *TALK[:3]], TALK, [SYSTEM, *TALK]]

# Special tokens by what is in a template; else those of Llama 2. Names as in the models' tokenizer_config.json.
TOKENS = [
    ("<start_of_turn>", "<bos>", "<eos>"),
    ("<|turn>", "<bos>", "<turn|>"),
    ("<|start_header_id|>", "<|begin_of_text|>", "<|eot_id|>"),
    ("<｜User｜>", "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
    ("<|START_OF_TURN_TOKEN|>", "<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>"),
    ("<|im_start|>", "<|startoftext|>", "<|im_end|>"),
]

# The families of the golden: the others are many, and long.
FAMILIES = {
    "llama.cpp/Qwen-Qwen2.5-7B-Instruct", "llama.cpp/Qwen-Qwen3-0.6B", "llama.cpp/meta-llama-Llama-3.2-3B-Instruct",
    "llama.cpp/google-gemma-2-2b-it", "llama.cpp/microsoft-Phi-3.5-mini-instruct",
    "llama.cpp/mistralai-Mistral-Nemo-Instruct-2407", "llama.cpp/deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
    "llama.cpp/vicuna-13b-1.1", "llama.cpp/phi-4", "llama.cpp/Mistral-7B-Instruct-v0.2 (v1)",
    "llama.cpp/Mistral-Large-Instruct-2411 (v7)",
    "ollama/0 chatml", "ollama/6 chatml", "ollama/7 chatml", "ollama/2 zephyr", "ollama/9 zephyr", "ollama/4 openchat",
    "ollama/10 mistral-instruct", "ollama/12 llama2-chat", "ollama/19 alpaca", "ollama/21 gemma-instruct",
    "ollama/22 gemma3-instruct", "ollama/23 llama3-instruct", "ollama/25 granite-instruct", "ollama/30 phi-3",
    "ollama/32 chatqa", "ollama/34 falcon-instruct", "ollama/35 solar-instruct", "ollama/36 command-r",
}

# What no model has, but a Modelfile's grammar and Go's templates could trip over; options of ollamaModelfile.
ODD = "{%- if messages[0].role != 'system' %}{{ '<s>[' + DEFAULT + ']\\n' }}{% endif %}{%- for m in messages %}{{ '{{' + m.role[:1] + '\u00a0|' if m.role != 'system' else '<s>[' }}{{ m.content }}{{ ']\\n' if m.role == 'system' else '}} \"\"\"\\n{' }}{%- endfor %}{{ '{{a\u00a0|' }}"
EDGES = {
    "no chat template": {"file": "model.gguf", "eos": "</s>"},
    "paths, parameters": {
        "file": 'my "own" model.gguf',
        "generation": {"do_sample": True, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "min_p": 0, "repetition_penalty": 1.05},
        "contextLength": 2048,
    },
    "adapter": {"base": "llama3.2:3b", "adapters": ["lora adapter.gguf"], "architecture": "llama"},
    "braces and odd spaces": {"file": "model.gguf", "addBos": False, "chatTemplate": ODD.replace("DEFAULT", "'Say \"no\".'")},
    "several lines of SYSTEM": {"file": "model.gguf", "addBos": False, "chatTemplate": ODD.replace("DEFAULT", "'\"\"a\\nb\"\"\"c\"'")},
    "no SYSTEM can hold it": {"file": "model.gguf", "addBos": False, "chatTemplate": ODD.replace("DEFAULT", "'a\u00a0\"\"\"\\nb'")},
}


def templates(ollama):
    """All chat templates by a name that says where they are from."""
    found = {}
    for file in sorted((LLAMA / "models/templates").glob("*.jinja")):
        found[f"llama.cpp/{file.stem}"] = file.read_text()
    source = (LLAMA / "tests/test-chat-template.cpp").read_text()
    wanted = {
        "eachadea/vicuna-13b-1.1": "vicuna-13b-1.1",
        "phi-4": "phi-4",
        "mistralai/Mistral-7B-Instruct-v0.2 (mistralai 'v1' template with a system prompt)": "Mistral-7B-Instruct-v0.2 (v1)",
        "mistralai/Mistral-Large-Instruct-2411 (mistralai 'v7' template)": "Mistral-Large-Instruct-2411 (v7)",
    }
    pattern = r'/\* \.name= \*/ ("(?:[^"\\]|\\.)*"),(?:\s*//[^\n]*)*\s*/\* \.template_str= \*/ ("(?:[^"\\]|\\.)*")'
    for name, text in re.findall(pattern, source):
        if json.loads(name) in wanted:
            found[f"llama.cpp/{wanted[json.loads(name)]}"] = ast.literal_eval(text)
    for i, entry in enumerate(json.loads((ollama / "template/index.json").read_text())):
        found[f"ollama/{i} {entry['name']}"] = entry["template"]
    return found


def go(*arguments, **keywords):
    return subprocess.run(["go", *arguments], cwd=HERE, check=True, capture_output=True, text=True, **keywords).stdout


def tokenizer(template, bos, eos):
    made = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({bos: 0, eos: 1}, unk_token=eos)), bos_token=bos, eos_token=eos
    )
    if template is not None:
        made.chat_template = re.sub(r"\bstrftime_now\b", "no_clock", template)
    return made


def render(made, chat):
    """transformers' text, or None where the template raises."""
    try:
        return made.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    except Exception:  # a template may raise anything; which chats it takes is what we ask
        return None


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def main():
    module = json.loads(go("list", "-m", "-json", OLLAMA))
    cases = []
    for name, template in templates(pathlib.Path(module["Dir"])).items():
        bos, eos = next(((b, e) for mark, b, e in TOKENS if mark in template), ("<s>", "</s>"))
        made = tokenizer(template, bos, eos)
        texts = [render(made, chat) for chat in CHATS]
        add_bos = (texts[0] or "").startswith(bos)
        if add_bos:
            texts = [text if text is None else text.removeprefix(bos) for text in texts]
        options = {"file": "model.gguf", "chatTemplate": template, "bos": bos, "eos": eos, "addBos": add_bos}
        cases.append({"name": name, "options": options, "texts": texts})
    for name, options in EDGES.items():
        made = tokenizer(options.get("chatTemplate"), "<s>", "</s>")
        texts = [render(made, chat) if made.chat_template else None for chat in CHATS]
        cases.append({"name": f"edge/{name}", "options": options, "texts": texts})

    command = ["node", "--conditions=@qlora/source", "--import", "tsx", str(WRITER / "src/testing/write-modelfiles.ts")]
    ours = json.loads(
        subprocess.run(
            command, cwd=HERE.parent, check=True, capture_output=True, text=True, input=json.dumps([c["options"] for c in cases])
        ).stdout
    )
    asked = [
        {"name": c["name"], "modelfile": o["text"], "chatTemplate": c["options"].get("chatTemplate", ""), "chats": CHATS}
        for c, o in zip(cases, ours)
    ]
    answers = json.loads(go("run", ".", input=json.dumps(asked)))

    golden, edges, wrong, counts = [], [], [], {"same": 0, "ours": 0, "detected": 0, "detected right": 0}
    for case, made, answer in zip(cases, ours, answers):
        name, texts = case["name"], case["texts"]

        def agreeing(prompts):
            return [text is None or text == prompt for text, prompt in zip(texts, prompts)]

        found = answer["detected"]
        theirs = "none" if found is None else f"{found['name']} {sum(agreeing(found['prompts']))}/{len(CHATS)}"
        taken = sum(text is not None for text in texts)
        if found and not name.startswith("edge/"):
            counts["detected"] += 1
            counts["detected right"] += all(agreeing(found["prompts"]))
        if answer["prompts"] is None:
            state = "no TEMPLATE: " + "".join(made["warnings"][:1])
        else:
            same = all(agreeing(answer["prompts"]))
            if not name.startswith("edge/"):
                counts["ours"] += 1
                counts["same"] += same
            state = "same" if same else f"DIFFERS {agreeing(answer['prompts'])}"
            if not same:
                wrong.append(name)
        print(f"{name} | {state} | chats taken {taken} | Ollama by itself: {theirs}")
        entry = {
            "name": name,
            "options": case["options"],
            "modelfile": made["text"],
            "commands": [[c["name"], c["args"]] for c in answer["commands"]],
            "parameters": answer["parameters"],
            "prompts": [digest(prompt) for prompt in answer["prompts"] or []],
            "transformers": [None if text is None else digest(text) for text in texts],
            "longest": (answer["prompts"] or [None])[-1],
            "detected": theirs,
        }
        if name in FAMILIES:
            entry["commands"] = [c for c in entry["commands"] if c[0] not in ("template", "system")]
            golden.append(entry)
        elif name.startswith("edge/"):
            edges.append(entry)
    print(len(cases) - len(edges), "templates;", counts)
    missing = FAMILIES - {entry["name"] for entry in golden}
    if wrong or missing:
        sys.exit(f"differ: {wrong}; not found: {sorted(missing)}")
    versions = {"ollama": module["Version"], "transformers": transformers.__version__}
    GOLDEN.parent.mkdir(parents=True, exist_ok=True)
    GOLDEN.write_text(json.dumps({"versions": versions, "chats": CHATS, "families": golden, "edges": edges}, ensure_ascii=False, indent=1) + "\n")


main()
