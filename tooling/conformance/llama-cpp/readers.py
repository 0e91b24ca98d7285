"""Readers of GGUF files on the broken and the odd files of packages/gguf-writer/src/testing (broken-files.ts, odd-files.ts).

readers.py LLAMA_CPP PACKAGES: a clone of llama.cpp (its gguf-py is imported), and a folder in which `npm install
@huggingface/gguf` was run. Each reader sees each file in a process of its own, since some crash:

- gguf.cpp: `gguf_init_from_file` of ggml's library, called as llama.cpp calls it, without the data
- llama.cpp: `llama_model_load_from_file` of its library, as llama-cli calls it
- gguf-py: GGUFReader, with a look at every tensor
- @huggingface/gguf: gguf() with a count of parameters
- node-llama-cpp: readGgufFileInfo

Writes packages/gguf-writer/src/goldens/readers.json. Fails if our reader accepts what gguf.cpp refuses, or refuses what
gguf.cpp accepts by a rule for which STRICTER has no reason.
"""

import collections
import concurrent.futures
import ctypes
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

ROOT = pathlib.Path(__file__).resolve().parents[3]
HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = ROOT / "packages/gguf-writer/src/goldens/readers.json"
READERS = ["gguf.cpp", "llama.cpp", "gguf-py", "@huggingface/gguf", "node-llama-cpp"]
REFUSED = 3
SECONDS = 120

# Rules by which files are refused that gguf.cpp accepts, and why.
STRICTER = {
    "gguf/too-many": "limits of what JavaScript can hold, far above any model's",
    "gguf/header-size": "the same",
    "gguf/string-limit": "the same; for keys, docs/gguf.md has this limit",
    "gguf/encoding": "docs/gguf.md: names are UTF-8. gguf.cpp ends them at a zero without a word",
    "gguf/bool": "docs/gguf.md: other values than 0 and 1 make the file invalid",
    "gguf/overflow": "lengths whose product wraps to 0 or below pass gguf.cpp's check (issue 27203)",
    "gguf/tensor-outside": "gguf.cpp leaves it to its callers; llama.cpp refuses",
}


def gguf_cpp(path: str) -> bool:
    from ggml import ggml

    class Params(ctypes.Structure):
        _fields_ = [("no_alloc", ctypes.c_bool), ("ctx", ctypes.POINTER(ctypes.c_void_p))]

    ggml.gguf_init_from_file.restype = ctypes.c_void_p
    ggml.gguf_init_from_file.argtypes = [ctypes.c_char_p, Params]
    context = ctypes.c_void_p()
    return bool(ggml.gguf_init_from_file(path.encode(), Params(True, ctypes.pointer(context))))


def llama_cpp(path: str) -> bool:
    from ggml import LIBRARY

    # Large enough for llama_model_params, which is handed on as it came.
    class Params(ctypes.Structure):
        _fields_ = [("bytes", ctypes.c_uint64 * 64)]

    backends = ctypes.CDLL(str(next(LIBRARY.parent.glob("libggml.v*.so"))), ctypes.RTLD_GLOBAL)
    llama = ctypes.CDLL(str(next(LIBRARY.parent.glob("libllama.v*.so"))))
    backends.ggml_backend_load.restype = ctypes.c_void_p
    assert backends.ggml_backend_load(str(LIBRARY.parent / "libggml-cpu-x64.so").encode())
    llama.llama_model_default_params.restype = Params
    llama.llama_model_load_from_file.restype = ctypes.c_void_p
    llama.llama_model_load_from_file.argtypes = [ctypes.c_char_p, Params]
    llama.llama_backend_init()
    return bool(llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params()))


def gguf_py(path: str) -> bool:
    import gguf

    try:
        reader = gguf.GGUFReader(path)
        for tensor in reader.tensors:
            tensor.data.sum()
    except MemoryError:
        raise
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
        return False
    return True


IN_PYTHON = {"gguf.cpp": gguf_cpp, "llama.cpp": llama_cpp, "gguf-py": gguf_py}


def verdict(reader: str, path: str, packages: str, environment: dict) -> dict:
    """What a reader says of a file, and the most memory that its process had, in MB."""
    if reader in IN_PYTHON:
        command = [sys.executable, __file__, "--one", reader, path]
    else:
        command = ["node", str(HERE / "read_one.mjs"), reader, path, packages]
    command = ["timeout", "-s", "KILL", str(SECONDS), "/usr/bin/time", "-f", "%M %e", *command]
    run = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment, check=False)
    last = run.stderr.strip().split("\n")[-1].split()
    memory = int(last[0]) // 1000 if len(last) == 2 and last[0].isdigit() else None
    if run.returncode in (0, REFUSED):
        return {"verdict": "refuses" if run.returncode else "accepts", "mb": memory}
    killed = run.returncode in (137, -9) and memory is None
    return {"verdict": "hangs" if killed else "crashes", "mb": memory}


def version_of(package: pathlib.Path) -> str:
    return json.loads(package.read_text())["version"]


def main(clone: str, packages: str) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{clone}/gguf-py:{HERE}"}
    with tempfile.TemporaryDirectory() as work:
        command = ["node", "--conditions=@qlora/source", "--import", "tsx"]
        script = ROOT / "packages/gguf-writer/src/testing/write-broken.ts"
        output = subprocess.check_output([*command, str(script), work], cwd=HERE.parent, text=True)
        files = json.loads(output)
        jobs = [(file, reader) for file in files for reader in READERS]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            results = list(pool.map(lambda job: verdict(job[1], job[0]["path"], packages, environment), jobs))
    failures, table, largest = [], {}, dict.fromkeys(READERS, 0)
    for (file, reader), result in zip(jobs, results, strict=True):
        row = table.setdefault(file["name"], {"ours": file["ours"]})
        row[reader] = result["verdict"]
        if file["broken"]:
            largest[reader] = max(largest[reader], result["mb"] or 0)
        print(file["name"], reader, result, flush=True)
    for file in files:
        row = table[file["name"]]
        accepts = row["gguf.cpp"] == "accepts"
        if row["ours"] == "accepts" and not accepts:
            failures.append(f"{file['name']}: gguf.cpp {row['gguf.cpp']}, ours accepts")
        if row["ours"] != "accepts" and accepts and row["ours"] not in STRICTER:
            failures.append(f"{file['name']}: gguf.cpp accepts, ours refuses by {row['ours']}")
        if not file["broken"] and row["ours"] != "accepts":
            failures.append(f"{file['name']}: only looks wrong, ours refuses by {row['ours']}")
    broken = [file["name"] for file in files if file["broken"]]
    odd = [file["name"] for file in files if not file["broken"]]
    for reader in READERS:
        figures = collections.Counter(table[name][reader] for name in broken)
        accepted = sum(table[name][reader] == "accepts" for name in odd)
        print(f"{reader}: {dict(figures)} of {len(broken)} broken files, at most {largest[reader]} MB;",
              f"accepts {accepted} of {len(odd)} that only look wrong")
    package = pathlib.Path(packages, "node_modules/@huggingface/gguf/package.json")
    addon = ROOT / "tooling/llama-cpp/node_modules/node-llama-cpp/package.json"
    versions = {"llama.cpp": "v0.5.0", "gguf-py": "0.19.0"}
    versions |= {"@huggingface/gguf": version_of(package), "node-llama-cpp": version_of(addon)}
    golden = {"versions": versions, "files": table}
    if failures:
        sys.exit("\n".join(failures))
    rows = ",\n  ".join(f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(row)}" for name, row in table.items())
    GOLDEN.write_text(f'{{"versions": {json.dumps(golden["versions"])},\n"files": {{\n  {rows}\n}}}}\n')


if sys.argv[1] == "--one":
    warnings.simplefilter("ignore")
    accepted = IN_PYTHON[sys.argv[2]](sys.argv[3])
    sys.exit(0 if accepted else REFUSED)
main(*sys.argv[1:])
