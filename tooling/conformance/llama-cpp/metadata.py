"""Every type of metadata value of GGUF, from our writer to gguf-py's reader and from gguf-py's writer to ours.

metadata.py LLAMA_CPP: a clone of llama.cpp, whose gguf-py is imported. Fails unless gguf-py and gguf.cpp read from our file
what was written. Writes to packages/gguf-writer/src/goldens: `values.json`, the digest of our file and what gguf-py read from it
(numbers as their digits), and `values.gguf`, the same values as gguf-py writes them, but for empty arrays, which it refuses.
"""

import ctypes
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, f"{sys.argv[1]}/gguf-py")
import gguf
import numpy as np
from ggml import ggml

ROOT = pathlib.Path(__file__).resolve().parents[3]
HERE = pathlib.Path(__file__).resolve().parent
GOLDENS = ROOT / "packages/gguf-writer/src/goldens"
TYPES = {
    "u8": "UINT8", "i8": "INT8", "u16": "UINT16", "i16": "INT16", "u32": "UINT32", "i32": "INT32", "f32": "FLOAT32",
    "bool": "BOOL", "string": "STRING", "array": "ARRAY", "u64": "UINT64", "i64": "INT64", "f64": "FLOAT64",
}


def value_of(kind: str, value: object) -> object:
    """A value of our list as Python has it."""
    if isinstance(value, list):
        return [value_of(kind, item) for item in value]
    if kind in ("u64", "i64"):
        return int(value)
    return float(value) if kind in ("f32", "f64") else value


def same(a: object, b: object) -> bool:
    """Equal, -0 and 0 told apart."""
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    return a == b and (not isinstance(a, float) or np.signbit(a) == np.signbit(b))


def shown(value: object) -> object:
    if isinstance(value, list):
        return [shown(item) for item in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def gguf_cpp_types(path: pathlib.Path) -> dict:
    """Type and item type of every entry as gguf.cpp reads them, by key."""
    class Params(ctypes.Structure):
        _fields_ = [("no_alloc", ctypes.c_bool), ("ctx", ctypes.c_void_p)]

    ggml.gguf_init_from_file.restype = ctypes.c_void_p
    ggml.gguf_init_from_file.argtypes = [ctypes.c_char_p, Params]
    context = ctypes.c_void_p(ggml.gguf_init_from_file(str(path).encode(), Params(True, None)))
    assert context, "gguf.cpp refuses our file"
    ggml.gguf_get_key.restype = ctypes.c_char_p
    ggml.gguf_get_n_kv.restype = ctypes.c_int64
    found = {}
    for i in range(ggml.gguf_get_n_kv(context)):
        at = ctypes.c_int64(i)
        kinds = [gguf.GGUFValueType(ggml.gguf_get_kv_type(context, at)).name]
        if kinds == ["ARRAY"]:
            kinds.append(gguf.GGUFValueType(ggml.gguf_get_arr_type(context, at)).name)
        found[ggml.gguf_get_key(context, at).decode()] = kinds
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as work:
        path = pathlib.Path(work, "ours.gguf")
        command = ["node", "--conditions=@qlora/source", "--import", "tsx"]
        script = ROOT / "packages/gguf-writer/src/testing/write-values.ts"
        values = json.loads(subprocess.check_output([*command, str(script), str(path)], cwd=HERE.parent, text=True))
        fields = {key: field for key, field in gguf.GGUFReader(path).fields.items() if not key.startswith("GGUF.")}
        types = gguf_cpp_types(path)
        assert list(fields) == [key for key, _ in values] == list(types)
        read = {}
        writer = gguf.GGUFWriter(pathlib.Path(work, "theirs.gguf"), "test")
        for key, entry in values:
            kinds = [TYPES[entry["type"]], *([TYPES[entry["items"]]] if "items" in entry else [])]
            expected = value_of(entry.get("items", entry["type"]), entry["value"])
            contents = fields[key].contents()
            # An empty array has no item type in gguf-py.
            assert [kind.name for kind in fields[key].types][: len(kinds)] == kinds[: 1 if expected == [] else 2], key
            assert types[key] == kinds, key
            assert same(contents, expected), (key, contents, expected)
            read[key] = [*kinds, shown(contents)]
            if key != "general.architecture" and expected != []:
                kind, *items = (gguf.GGUFValueType[name] for name in kinds)
                writer.add_key_value(key, expected, kind, *items)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        (GOLDENS / "values.gguf").write_bytes(pathlib.Path(work, "theirs.gguf").read_bytes())
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    rows = ",\n  ".join(f"{json.dumps(key)}: {json.dumps(row, ensure_ascii=False)}" for key, row in read.items())
    (GOLDENS / "values.json").write_text(f'{{"gguf-py": "0.19.0", "sha256": "{digest}",\n"values": {{\n  {rows}\n}}}}\n')
    print(len(read), "values: the same in gguf-py, their types in gguf.cpp too")


main()
