"""Both ends of the lock-step protocol (bench/README.md): a side waits for a line, runs one timed round, answers one JSON line."""

import json
import os
import pathlib
import platform
import shlex
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def serve(ready, answer):
    """The measured side: prints `ready`, then answer(line) for every line of stdin, until it closes."""
    print(json.dumps(ready), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(line.strip())), flush=True)


def speeds(facts, one_round, stepped, rounds):
    """A measured program's answers: `facts` and images per second of one_round(), whenever asked where it is `stepped`, else the median of `rounds`."""
    if stepped:
        serve(facts, lambda line: {"images_per_second": one_round()})
        return
    measured = [one_round() for _ in range(rounds)]
    print(json.dumps(facts | {"images_per_second": statistics.median(measured), "rounds": measured}))


def repeat_for(seconds, step):
    """Calls step() until `seconds` have passed; returns (calls, elapsed)."""
    calls, start = 0, time.perf_counter()
    while True:
        step()
        calls += 1
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return calls, elapsed


class Side:
    """A benchmark process that the driver steps."""

    def __init__(self, name, command, environment):
        self.name, self.command = name, [str(c) for c in command]
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=os.environ | environment)
        self.ready = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name}: {shlex.join(self.command)} ended (exit code {self.process.wait()}) before it answered")
        return json.loads(line)

    def round(self, request="go"):
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def alternate(ours, peer, rounds, key, request="go"):
    """One warm-up round each, then `rounds` pairs whose order turns every round. Returns (ours, peer): lists of answers[key]."""
    found = {ours: [], peer: []}
    for side in (ours, peer):
        side.round(request)
    for i in range(rounds):
        for side in (ours, peer) if i % 2 == 0 else (peer, ours):
            found[side].append(side.round(request)[key])
    return found[ours], found[peer]


def ratios(ours, peer):
    """Statistics of the per-round ratios ours / peer: {"ratio", "quartiles", "ours", "peer" (medians), "rounds"}."""
    pairs = [a / b for a, b in zip(ours, peer)]
    low, median, high = statistics.quantiles(pairs, n=4, method="inclusive") if len(pairs) > 1 else pairs * 3
    return {"ratio": median, "quartiles": [low, high], "ours": statistics.median(ours), "peer": statistics.median(peer),
            "rounds": len(pairs), "ours_rounds": ours, "peer_rounds": peer}


def isa_settings(isa):
    """(our options, the peer's environment) for an instruction set: auto, avx512, avx2."""
    if isa == "auto":
        return [], {}
    onednn = {"avx2": "AVX2", "avx512": "AVX512_CORE"}[isa]
    return ["--cpu", isa], {"ATEN_CPU_CAPABILITY": isa, "ONEDNN_MAX_CPU_ISA": onednn}


def processor():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def commit():
    described = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True)
    return described.stdout.strip() or "unknown"


def circumstances(isa, threads):
    """What a result file says about where it comes from."""
    memory = next(line.split()[1] for line in open("/proc/meminfo") if line.startswith("MemTotal"))
    return {"processor": processor(), "cores": os.cpu_count(), "memory_gib": round(int(memory) / 2**20, 1), "isa": isa, "threads": threads,
            "system": " ".join([platform.system(), *platform.libc_ver()]), "commit": commit(), "date": time.strftime("%Y-%m-%d %H:%M"),
            "load_at_start": os.getloadavg()[0], "command": shlex.join([pathlib.Path(sys.argv[0]).name] + sys.argv[1:])}


def results_folder(requested):
    if requested:
        return pathlib.Path(requested)
    slug = "-".join("".join(c if c.isalnum() else " " for c in processor().lower()).split())
    return ROOT / "bench/results" / f"{slug}-{time.strftime('%Y-%m-%d')}"


def save(folder, name, title, facts, header, rows, data):
    """Writes NAME.md (title, circumstances, a table) and NAME.json (everything) and prints the former."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"# {title}", ""] + [f"* {key}: {value}" for key, value in facts.items()]
    lines += ["", "| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    text = "\n".join(lines) + "\n"
    (folder / f"{name}.md").write_text(text)
    (folder / f"{name}.json").write_text(json.dumps({"circumstances": facts, "results": data}, indent=1) + "\n")
    print(text)
