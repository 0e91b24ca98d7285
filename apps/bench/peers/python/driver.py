"""Runs PyTorch, bitsandbytes and PEFT for the benchmark: one JSON object a line in, one out; see ../README.md.

Threads come from OMP_NUM_THREADS, which bitsandbytes' kernels read, and are told to torch as well. Odd: libraries print
to standard output when they like, so file descriptor 1 is moved away and what they print goes to standard error.
"""

import gc
import importlib.metadata
import json
import os
import resource
import sys
import time

answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

# Runs before the first that counts: caches fill, weights are packed.
WARM_UPS = 2
PACKAGES = ["torch", "bitsandbytes", "transformers", "peft"]


def versions():
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def describe():
    found = versions()
    missing = [package for package in PACKAGES if package not in found]
    if missing:
        raise RuntimeError(f"{sys.executable} lacks {', '.join(missing)}")
    import jobs

    return {"versions": found, "threads": jobs.THREADS, "note": jobs.native_paths()}


def status_bytes(field):
    """A field of Linux' /proc/self/status in bytes, or nothing elsewhere."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            for line in status:
                if line.startswith(field):
                    return int(line.split()[1]) * 1024
    except OSError:
        return None


def forget_peak():
    """Makes Linux count the peak of resident memory anew."""
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as refs:
            refs.write("5")
    except OSError:
        pass


class Driver:
    def __init__(self):
        self.jobs = {}
        self.count = 0

    def answer(self, request):
        what = request.get("do")
        if what == "describe":
            return describe()
        if what == "prepare":
            return self.prepare(request["job"])
        if what == "run":
            return {"ms": self.run(self.jobs[request["handle"]], request.get("times", 1))}
        if what == "release":
            return {"memory": self.release(request["handle"])}
        raise ValueError(f"does not know how to {what}")

    def prepare(self, description):
        import jobs

        run, check = jobs.prepare(description)
        for _ in range(WARM_UPS):
            run()
        self.count += 1
        self.jobs[self.count] = run
        checked = check()
        gc.collect()
        # ru_maxrss is in kilobytes, on macOS in bytes.
        self.peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        forget_peak()
        return {"handle": self.count, "check": checked}

    @staticmethod
    def run(job, times):
        ms = []
        for _ in range(times):
            start = time.perf_counter()
            job()
            ms.append((time.perf_counter() - start) * 1e3)
        return ms

    def release(self, handle):
        memory = {"process": self.peak}
        steps = status_bytes("VmHWM")
        if steps is not None:
            memory = {"process": max(self.peak, steps), "steps": steps}
        del self.jobs[handle]
        gc.collect()
        return memory


def main():
    driver = Driver()
    for line in sys.stdin:
        request = json.loads(line)
        if request.get("do") == "stop":
            break
        try:
            answer = {"ok": True, **driver.answer(request)}
        except Exception as error:  # whatever it is, the harness is told and goes on
            answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")


main()
