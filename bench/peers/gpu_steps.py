#!/usr/bin/env python3
"""SimCLR steps on a GPU, Kagami beside PyTorch (eager and compiled), in turns: one table, last.

    gpu_steps.py --kagami build/cuda/bench/pretrain_bench --json steps.json --seconds 460

Each side runs in a process of its own and waits for its turn (lock-step protocol, bench/README.md); the number is the median of the rounds' ratios.
Without torch in this Python only Kagami is timed. Cases that the seconds do not suffice for are named and left out.
"""

import argparse
import importlib.util
import json
import pathlib
import statistics
import sys
import time

import lockstep

HERE = pathlib.Path(__file__).resolve().parent
CASES = (  # model, size, images a step, width of the projector
    ("resnet18", 32, 512, 512),
    ("resnet50", 224, 128, 2048),
)
PEERS = ("none", "default", "max-autotune")
SECONDS_A_CASE = 100


def options_of(case):
    model, size, batch, hidden = case
    return ["--model", model, "--size", size, "--batch", batch, "--hidden", hidden, "--round"]


def measure(case, precision, compile_mode, options):
    """One comparison; None where a side did not start."""
    ours = lockstep.Side("kagami", [options.kagami, "--device", "cuda", "--precision", precision, *options_of(case)], {})
    peer = None
    if options.torch:
        peer = lockstep.Side("torch", [sys.executable, HERE / "torch_pretrain.py", "--precision", precision, "--compile", compile_mode, *options_of(case)], {})
    speeds, peers = [], []
    for number in range(options.rounds + 1):  # the first is a warm-up
        for side in ((ours, peer) if number % 2 else (peer, ours)):
            if side:
                speed = side.round()["images_per_second"]
                if number > 0:
                    (speeds if side is ours else peers).append(speed)
    result = {"case": case, "precision": precision, "compile": compile_mode if peer else None, "kagami": ours.ready, "torch": peer.ready if peer else None,
              "views_per_second": statistics.median(speeds), "rounds": speeds}
    if peer:
        result |= {"torch_views_per_second": statistics.median(peers), "torch_rounds": peers,
                   "ratio": statistics.median(a / b for a, b in zip(speeds, peers))}
        peer.close()
    ours.close()
    return result


def table(results):
    lines = ["| step | views | precision | Kagami, views/s | PyTorch | views/s | ratio |", "|---|---:|---|---:|---|---:|---:|"]
    for r in results:
        model, size, batch, _ = r["case"]
        torch_way = "" if not r["torch"] else "eager" if r["compile"] == "none" else f"compiled, {r['compile']}"
        torch_speed, ratio = (f"{r['torch_views_per_second']:.0f}", f"{r['ratio']:.2f}") if r["torch"] else ("", "")
        lines.append(f"| {model}, {size} px | {2 * batch} | {r['precision']} | {r['views_per_second']:.0f} | {torch_way} | {torch_speed} | {ratio} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kagami", required=True, help="the program pretrain_bench")
    parser.add_argument("--json", required=True)
    parser.add_argument("--seconds", type=float, default=460)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    options.torch = importlib.util.find_spec("torch") is not None
    deadline, results = time.monotonic() + options.seconds, []
    wanted = [(case, precision, way) for precision in ("bf16", "tf32") for way in (PEERS if options.torch else PEERS[:1]) for case in CASES]
    for case, precision, way in wanted:
        if time.monotonic() + SECONDS_A_CASE > deadline:
            print(f"-- no time left for {case[0]} {precision}, compile {way}", flush=True)
            continue
        results.append(measure(case, precision, way, options))
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)
    print(table(results))


if __name__ == "__main__":
    sys.exit(main())
