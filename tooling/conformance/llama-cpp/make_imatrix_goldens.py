"""Writes the goldens of importance matrices in @qlora/gguf-writer: two files that llama-imatrix wrote, and what llama-quantize makes
of a tensor with each.

The tools are those of llama.cpp's release v0.5.0; any model and text will do, as long as they are small:

    pip install numpy==2.4.6 gguf==0.19.0
    python tooling/conformance/llama-cpp/make_imatrix_goldens.py LLAMA_IMATRIX LLAMA_QUANTIZE MODEL_F16_GGUF TEXT
"""

import base64
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

import gguf

ROOT = pathlib.Path(__file__).resolve().parents[3]
GOLDENS = ROOT / "packages/gguf-writer/src/goldens"
TENSOR = "blk.1.attn_q.weight"
TYPES = ["q4_0", "q4_1", "q5_0", "q5_1", "iq4_nl"]


def tensor(path: pathlib.Path) -> gguf.ReaderTensor:
    return next(t for t in gguf.GGUFReader(path).tensors if t.name == TENSOR)


def main() -> None:
    imatrix, quantize, model, text = sys.argv[1:]
    GOLDENS.mkdir(exist_ok=True)
    source = tensor(pathlib.Path(model))
    golden = {
        "tensor": TENSOR,
        "shape": [int(n) for n in reversed(source.shape)],
        "f16": base64.b64encode(source.data.tobytes()).decode(),
        "blocks": {},
    }
    with tempfile.TemporaryDirectory() as place:
        (pathlib.Path(place) / "text.txt").write_bytes(pathlib.Path(text).read_bytes()[:6000])
        for form in ("dat", "gguf"):
            file = GOLDENS / f"imatrix.{form}"
            # Called where the text is, so that no path of this machine gets into the file.
            command = [imatrix, "-m", model, "-f", "text.txt", "-o", file, "--output-format", form]
            subprocess.run([*command, "-c", "128", "--chunks", "4", "-t", "1", "--no-ppl"], cwd=place, check=True)
            golden["blocks"][form] = {}
            for name in TYPES:
                out = pathlib.Path(place) / f"{name}.gguf"
                subprocess.run([quantize, "--imatrix", file, model, out, name, "1"], cwd=place, check=True)
                made = tensor(out)
                assert made.tensor_type.name.lower() == name, made.tensor_type
                golden["blocks"][form][name] = hashlib.sha256(made.data.tobytes()).hexdigest()
            print(file, file.stat().st_size, "bytes")
    (GOLDENS / "imatrix.json").write_text(json.dumps(golden, indent=1) + "\n")


main()
