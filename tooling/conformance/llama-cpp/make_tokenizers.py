"""Trains the tiny tokenizers of packages/gguf-writer and says which ids their owners give to awkward texts.

    make_tokenizers.py

Runs sentencepiece 0.2.3 (tokenizer.model of Llama's and of Gemma's kind) and tokenizers (tokenizer.json of the same two, made of
the pieces as transformers' converter does it, and byte-level BPE with each pre-tokenizer that llama.cpp has a name for here).
Writes packages/gguf-writer/src/goldens/tokenizers: the files, and ids.json.
"""
import io
import json
import pathlib

import sentencepiece
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

ROOT = pathlib.Path(__file__).resolve().parents[3]
OUT = ROOT / "packages/gguf-writer/src/goldens/tokenizers"
TEXTS = json.loads((ROOT / "packages/gguf-writer/src/testing/texts.json").read_text("utf-8"))
LINES = (ROOT / "apps/demo/data/pirate.jsonl").read_text("utf-8").splitlines()[:400]
LINES += ["Zürich naïve Ωmega Привет мир 日本語 テスト 한국어 ＡＢＣ été", "func(a, b) { return a_b + 12345; }"] * 20

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"


def words(numbers):
    return rf"{CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{numbers}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{SPACES}"


def cased(ending, numbers):
    upper, lower = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
    front = r"[^\r\n\p{L}\p{N}]?"
    return (
        rf"{front}[{upper}]*[{lower}]+{ending}|{front}[{upper}]+[{lower}]*{ending}|{numbers}"
        rf"| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{SPACES}"
    )


def split(regex):
    step = {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}
    last = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {"type": "Sequence", "pretokenizers": [step, last]}


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
# Steps as they stand in the tokenizer.json of GPT-2, SmolLM, Llama 3, Smaug, Qwen 2, Mistral Nemo and Phi 4 mini; ignore_merges.
BYTE_LEVEL_KINDS = {
    "gpt-2": (BYTE_LEVEL, False),
    "smollm": ({"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, BYTE_LEVEL]}, False),
    "llama-bpe": (split(words(r"\p{N}{1,3}")), True),
    "smaug-bpe": (split(words(r"\p{N}{1,3}")), False),
    "qwen2": (split(words(r"\p{N}")), False),
    "tekken": (split(cased("", r"\p{N}")), True),
    "gpt-4o": (split(cased(f"{CONTRACTIONS}?", r"\p{N}{1,3}")), False),
}


def train_pieces(**options):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES),
        model_writer=model,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        num_threads=1,
        **options,
    )
    return model.getvalue()


def pieces_json(model, prefix):
    """tokenizer.json of a SentencePiece model, its merges by the scores of what they make (transformers, SentencePieceExtractor)."""
    sp = sentencepiece.SentencePieceProcessor(model_proto=model)
    vocab = {sp.IdToPiece(i): i for i in range(sp.vocab_size())}
    normal = {p for p, i in vocab.items() if not (sp.IsControl(i) or sp.IsByte(i) or sp.IsUnknown(i))}
    merges = []
    for piece in normal:
        for at in range(1, len(piece)):
            left, right = piece[:at], piece[at:]
            if left in normal and right in normal:
                merges.append((-sp.GetScore(vocab[piece]), vocab[left], vocab[right], [left, right]))
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    bos, eos = sp.IdToPiece(sp.bos_id()), sp.IdToPiece(sp.eos_id())
    special = lambda i: {"id": i, "content": sp.IdToPiece(i), "single_word": False, "lstrip": False, "rstrip": False,
                         "normalized": False, "special": True}
    added = [special(i) for i in range(sp.vocab_size()) if sp.IsControl(i) or sp.IsUnknown(i)]
    if not prefix:
        added += [special(vocab["\n\n"]) | {"special": False}]
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    decoders = [{**replace, "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, replace]} if prefix else replace,
        "pre_tokenizer": None if prefix else {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": bos, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"SpecialToken": {"id": bos, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                     {"SpecialToken": {"id": bos, "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {bos: {"id": bos, "ids": [sp.bos_id()], "tokens": [bos]}},
        },
        "decoder": {"type": "Sequence", "decoders": decoders + ([strip] if prefix else [])},
        "model": {"type": "BPE", "dropout": None, "unk_token": sp.IdToPiece(sp.unk_id()), "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
                  "vocab": vocab, "merges": [merge[3] for merge in sorted(merges)]},
    }


def save(name, json_text):
    (OUT / name).write_text(json.dumps(json_text, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    ids = {}
    # Llama: <unk>, <s>, </s> first; Gemma: <pad>, <eos>, <bos>, <unk>, a line break of its own, no space in front.
    kinds = {
        "llama": dict(vocab_size=460, character_coverage=0.999),
        "gemma": dict(vocab_size=460, character_coverage=0.999, add_dummy_prefix=False, pad_id=0, eos_id=1, bos_id=2, unk_id=3,
                      pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>", user_defined_symbols=["\n\n", "▁▁"]),
    }
    for kind, options in kinds.items():
        model = train_pieces(**options)
        (OUT / f"{kind}.model").write_bytes(model)
        tokenizer = pieces_json(model, prefix=kind == "llama")
        save(f"{kind}.json", tokenizer)
        sp = sentencepiece.SentencePieceProcessor(model_proto=model)
        fast = Tokenizer.from_str(json.dumps(tokenizer))
        ids[f"{kind}.model"] = [sp.encode(text) for text in TEXTS]
        ids[f"{kind}.json"] = [fast.encode(text, add_special_tokens=False).ids for text in TEXTS]

    trained = Tokenizer(models.BPE())
    # Not cut into words: merges across every boundary show where a pre-tokenizer cuts.
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = trainers.BpeTrainer(vocab_size=450, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
    trained.train_from_iterator([piece for text in TEXTS for piece in (text, text + ' 1234', text + "'s")] * 20 + LINES[:40], trainer)
    base = json.loads(trained.to_str())
    size = len(base["model"]["vocab"])
    for i, content in enumerate(["<|begin|>", "<|endoftext|>", "<tool>"]):
        base["added_tokens"].append({"id": size + i, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
                                     "normalized": False, "special": content != "<tool>"})
    base["decoder"] = BYTE_LEVEL
    base["model"]["byte_fallback"] = False
    save("byte-level.json", {"base": base, "kinds": {name: {"pre_tokenizer": steps, "ignore_merges": ignore}
                                                     for name, (steps, ignore) in BYTE_LEVEL_KINDS.items()}})
    for name, (steps, ignore) in BYTE_LEVEL_KINDS.items():
        variant = json.loads(json.dumps(base))
        variant["pre_tokenizer"] = steps
        variant["model"]["ignore_merges"] = ignore
        ids[name] = [Tokenizer.from_str(json.dumps(variant)).encode(text, add_special_tokens=False).ids for text in TEXTS]
    save("ids.json", ids)
    print({name: sum(map(len, lists)) for name, lists in ids.items()})


main()
