"""Compares the reader and the writer of @qlora/safetensors with the reference implementation, and fails where they differ
in a way that is not listed here.

    pip install -r tooling/conformance/requirements.txt
    python tooling/conformance/safetensors/compare.py [COUNT [SEED]]

It runs both on the files of `packages/safetensors/src/testing`: those that break a rule, those that only look so, those of
the real libraries, those that our writer makes, and COUNT (20 000) that chance made out of real ones. Node and the
repository's own packages are needed (`npm test` installs them).
"""

import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import safetensors
from safetensors import SafetensorError, deserialize, safe_open

ROOT = pathlib.Path(__file__).resolve().parents[3]
DUMP = "packages/safetensors/src/testing/dump.ts"

# What we refuse and the reference accepts, by our rule. There is nothing that we accept and it refuses.
STRICTER = {
    "invalid-header-start": "the format's description says that a header MUST begin with {; the reference skips whitespace",
    "duplicate-key": "the description forbids them; the reference lets the last tensor or text of a name win",
    "invalid-metadata": "the description has a map of strings; the reference takes null for no metadata",
    "invalid-entry": "the description has an object; the reference, by way of serde, takes a list of its fields too",
    "unknown-field": "the description has three fields; the reference ignores others, and data could hide in them",
    "unknown-dtype": 'the description has a string; the reference, by way of serde, takes {"U8": null} too',
    "too-many-axes": "bounds memory: the reference takes 2 GB for one header of 100 MB; NumPy stops at 64 axes",
    "too-many-metadata": "bounds memory: the reference takes 1.5 GB for one header of 100 MB",
    "integer-too-large": "an axis above 2^53 beside a zero, which a JavaScript number cannot hold",
}

# The Display texts of SafeTensorError, safetensors/src/tensor.rs, version 0.8.0.
VARIANTS = {
    "InvalidHeader": r"invalid UTF-8 in header: ",
    "InvalidHeaderDeserialization": r"invalid JSON in header: ",
    "HeaderTooLarge": r"header too large$",
    "HeaderTooSmall": r"header too small$",
    "InvalidHeaderLength": r"invalid header length$",
    "TensorInvalidInfo": r"invalid shape, data type, or offset for tensor$",
    "InvalidOffset": r"invalid offset for tensor `",
    "MetadataIncompleteBuffer": r"incomplete metadata, file not fully covered$",
    "ValidationOverflow": r"overflow computing buffer size from shape and/or element type$",
    "MisalignedSlice": r"The slice is slicing for subbytes dtypes",
}


def reference(data: bytes) -> tuple[str, list]:
    """`none` where the reference accepts a file, with its tensors, or the variant of its error."""
    try:
        return "none", deserialize(data)
    except SafetensorError as error:
        text = str(error).removeprefix("Error while deserializing: ")
        for variant, pattern in VARIANTS.items():
            if re.match(pattern, text, re.DOTALL):
                return variant, []
        raise


def content_differences(case: dict, data: bytes, tensors: list) -> list[str]:
    """What the reference reads from a file of ours that is not what was written."""
    found = {name: (view["dtype"], view["shape"], bytes(view["data"]).hex()) for name, view in tensors}
    written = {t["name"]: (t["dtype"], t["shape"], t["data"]) for t in case["tensors"]}
    problems = [f"the tensor {name[:40]!r}" for name in found.keys() ^ written.keys()]
    problems += [f"the tensor {name[:40]!r}" for name in found.keys() & written.keys() if found[name] != written[name]]
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        with safe_open(file.name, framework="np") as opened:
            metadata = opened.metadata() or {}
    if metadata != dict(case["metadata"]):
        problems.append("the metadata")
    return problems


def differences(case: dict, data: bytes, rules: dict) -> tuple[str, list[str]]:
    """The reference's verdict, and everything that is not as it must be."""
    theirs, tensors = reference(data)
    ours, kind = case["verdict"], case["kind"]
    problems = []
    if kind == "broken" and ours != case["rule"]:
        problems.append(f"we say {ours} where {case['rule']} is broken")
    if kind in ("odd", "real", "ours") and (ours, theirs) != ("accepted", "none"):
        problems.append(f"we say {ours}, the reference {theirs}, of a file that is right")
    if ours == "accepted" and theirs != "none":
        problems.append(f"we accept it, the reference says {theirs}")
    if ours != "accepted" and theirs == "none" and ours not in STRICTER:
        problems.append(f"we say {ours}, the reference accepts it")
    # A file of chance may break several rules, of which each names the first that it meets.
    if kind == "broken" and ours != "accepted" and theirs not in rules[ours]:
        problems.append(f"we say {ours}, the reference {theirs}, which is not in rules.ts")
    if kind == "odd" and sorted(name for name, _ in tensors) != sorted(case["names"]):
        problems.append("other names")
    if kind == "ours":
        problems += content_differences(case, data, tensors)
    return theirs, problems


def main() -> int:
    count = sys.argv[1] if len(sys.argv) > 1 else "20000"
    seed = sys.argv[2] if len(sys.argv) > 2 else os.environ.get("QLORA_FUZZ_SEED", str(int(time.time())))
    print(f"safetensors {safetensors.__version__}; seed {seed}")
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        command = ["node", "--conditions=@qlora/source", "--import", "tsx", DUMP, folder, count, seed]
        subprocess.run(command, cwd=ROOT, check=True)
        dumped = json.loads((pathlib.Path(folder) / "verdicts.json").read_text())
        rules, cases = dumped["rules"], dumped["cases"]
        seen, stricter = collections.defaultdict(set), collections.Counter()
        kinds: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
        with open(pathlib.Path(folder) / "files.bin", "rb") as files:
            for case in cases:
                theirs, problems = differences(case, files.read(case["size"]), rules)
                ours = case["verdict"]
                agreement = "accepted by both" if (ours, theirs) == ("accepted", "none") else "refused by both"
                if ours != "accepted" and theirs == "none":
                    agreement = "refused by us alone"
                    stricter[ours] += 1
                kinds[case["kind"]][agreement] += 1
                if case["kind"] == "broken":
                    seen[ours].add(theirs)
                failures += [f"{case['kind']}: {case['name'][:80]}: {problem}" for problem in problems]

    for kind, counts in kinds.items():
        print(f"{kind}: {sum(counts.values())} files: " + ", ".join(f"{n} {what}" for what, n in sorted(counts.items())))
    print("refused by us alone:")
    for rule, number in stricter.most_common():
        print(f"  {rule}, {number} files: {STRICTER.get(rule, 'NOT LISTED')}")

    # What rules.ts and the README say of the reference must have been seen, and nothing else.
    for rule, variants in rules.items():
        if seen[rule] != set(variants):
            failures.append(f"rule {rule}: rules.ts has {sorted(variants)}, seen were {sorted(seen[rule])}")
    laxer = {rule for rule, variants in rules.items() if "none" in variants}
    if laxer != STRICTER.keys():
        failures.append(f"rules.ts and STRICTER differ: {sorted(laxer ^ STRICTER.keys())}")
    for failure in failures[:50]:
        print(f"DIFFERENT: {failure}")
    print(f"{len(cases)} files, {len(failures)} differences that are not allowed")
    return 1 if failures else 0


sys.exit(main())
