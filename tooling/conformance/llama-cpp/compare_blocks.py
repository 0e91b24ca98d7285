"""Compares the blocks of @qlora/ggml-blocks with those of ggml's own library, byte for byte, on random values.

The goldens hold the same comparison for fixed values; this one takes others each time, and more of them:

    pip install numpy==2.4.6
    python tooling/conformance/llama-cpp/compare_blocks.py --seed 7 --values 1048576 --types q4_K,iq4_nl

Every type gets that many values of each distribution, without importance and, where it takes one, with each importance;
and where ggml's validation refuses its own blocks, ours must refuse the values. Ends with 1 if anything differs.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from ggml import ROOT, TYPES, VERSION, decode, encode, valid

ROW = 1024

# Runs in a folder whose package depends on @qlora/ggml-blocks and on tsx. For each job: blocks and their values, or what was
# refused.
OURS = """
import { readFileSync, writeFileSync } from 'node:fs';
import { blockTypeOf } from '@qlora/ggml-blocks';
const floats = (path) => new Float32Array(new Uint8Array(readFileSync(path)).buffer);
for (const { type, values, importance, made } of JSON.parse(readFileSync(0, 'utf8'))) {
  try {
    const options = importance ? { importance: floats(importance) } : {};
    const bytes = blockTypeOf(type).encode(floats(values), options);
    writeFileSync(`${made}.blocks`, bytes);
    writeFileSync(`${made}.values`, new Uint8Array(blockTypeOf(type).decode(bytes).buffer));
  } catch (error) {
    if (error.rule !== 'ggml/scale-not-finite') throw error;
  }
}
"""


def distributions(random: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    index, normal = np.arange(count), random.normal(0, 0.02, count)
    return {
        "normal": normal,
        "uniform": random.uniform(-1, 1, count),
        "heavy-tailed": random.standard_t(2, count) * 0.01,
        "Cauchy": np.clip(random.standard_cauchy(count), -6e4, 6e4),
        "constant": np.repeat(random.normal(0, 1, count // 256), 256),
        "zeros": np.where(random.random(count) < 0.5, 0.0, -0.0),
        "sparse": np.where(random.random(count) < 0.97, 0, normal),
        "half zero": np.where(index // 32 % 2 == 0, 0, normal),
        "tiny": random.normal(0, 1e-38, count),
        "denormal": random.integers(-200, 200, count) * 1e-45,
        "every size": random.normal(0, 1, count) * 10.0 ** np.repeat(random.uniform(-45, 4, count // 32), 32),
        "huge": random.uniform(-6e4, 6e4, count),
        "too large": random.normal(0, 1, count) * 10.0 ** np.repeat(random.uniform(3, 30, count // 256), 256),
        "positive": random.uniform(0.5, 1, count),
        "negative": -np.abs(random.normal(3, 0.1, count)),
        "shifted": random.normal(5, 0.01, count),
        "ties": random.integers(-8, 9, count) / 8,
        "two values": random.integers(0, 2, count) * 0.5 - 0.25,
        "one large": np.where(index % 256 == 7, 30, normal),
    }


def importances(random: np.random.Generator) -> dict[str, np.ndarray]:
    squares = random.chisquare(1, ROW)
    return {
        "equal": np.ones(ROW),
        "squares": squares,
        "wide": np.exp(random.normal(0, 4, ROW)),
        "half zero": np.where(random.random(ROW) < 0.5, 0, squares),
        "zero": np.zeros(ROW),
        "tiny": squares * 1e-30,
        "huge": squares * 1e12,
    }


def compare(folder: pathlib.Path, name: str, values: dict, weights: dict) -> list[str]:
    """Sentences about what differs."""
    jobs, expected = [], []
    for key, rows in values.items():
        for kind, importance in {"": None, **(weights if TYPES[name].importance else {})}.items():
            made = folder / f"{name}-{len(jobs)}"
            jobs.append({
                "type": name,
                "values": str(folder / f"{key}.f32"),
                "importance": str(folder / f"{kind}.importance") if kind else None,
                "made": str(made),
            })
            expected.append((f"{name}, {key} values{f', {kind} importance' if kind else ''}", rows, importance, made))
    command = ["node", "--conditions=@qlora/source", "--import", "tsx", "--input-type=module", "-e", OURS]
    subprocess.run(command, input=json.dumps(jobs).encode(), cwd=ROOT / "apps/bench", check=True)
    return [problem for job in expected if (problem := difference(name, *job))]


def difference(name: str, what: str, rows: np.ndarray, importance: np.ndarray | None, made: pathlib.Path) -> str | None:
    blocks, ours = encode(name, rows, importance), made.with_suffix(".blocks")
    if not valid(name, blocks):
        refused = not ours.exists()
        return None if refused else f"{what}: ggml's blocks are not valid, and ours were not refused"
    if not ours.exists():
        return f"{what}: refused, and ggml's blocks are valid"
    data, back = ours.read_bytes(), made.with_suffix(".values").read_bytes()
    ours.unlink()
    made.with_suffix(".values").unlink()
    if data != blocks:
        size = TYPES[name].bytes(TYPES[name].values)
        a, b = (np.frombuffer(d, np.uint8).reshape(-1, size) for d in (data, blocks))
        other = np.nonzero((a != b).any(1))[0]
        return f"{what}: {other.size} of {len(a)} blocks differ, the first is {other[0]}"
    return None if back == decode(name, blocks, rows.size).tobytes() else f"{what}: decoded values differ"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--values", type=int, default=1 << 17, help="a multiple of 1024")
    parser.add_argument("--types", default=",".join(name for name in TYPES if name not in ("f16", "bf16")))
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    values = {key: rows.astype(np.float32) for key, rows in distributions(random, options.values).items()}
    weights = {key: row.astype(np.float32) for key, row in importances(random).items()}
    problems = []
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        for key, rows in values.items():
            rows.tofile(folder / f"{key}.f32")
        for key, row in weights.items():
            row.tofile(folder / f"{key}.importance")
        for name in options.types.split(","):
            found = compare(folder, name, values, weights)
            problems += found
            kinds = 1 + (len(weights) if TYPES[name].importance else 0)
            print(f"{name}: {len(values) * kinds} times {options.values} values, {len(found)} differ", flush=True)
    print("\n".join(problems) or f"equal to ggml of @node-llama-cpp/linux-x64 {VERSION}")
    sys.exit(1 if problems else 0)


main()
