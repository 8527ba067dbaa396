#!/usr/bin/env python3
"""Kagami against PyTorch in one run: the sides take turns, one timed round each; what counts is the median of the per-round ratios.

    side_by_side.py step   [--rounds 9] [--isa avx2]      training steps of ResNet-18 (batch 64), ResNet-20 and ResNet-8 (batch 256)
    side_by_side.py conv   [--rounds 9] [--isa avx2]      every convolution of those networks, every pass; three times that
    side_by_side.py memory                                peak memory of the same steps

Run it with the Python that has torch (setup.sh), on a quiet machine. Results go to bench/results/<processor>-<date>/.
`--ours COMMAND` replaces our executable: `--ours "python bench/peers/torch_step.py"` measures the peer against itself.
"""

import argparse
import json
import math
import pathlib
import shlex
import subprocess
import sys

import conv_layers
import lockstep

PEERS = pathlib.Path(__file__).resolve().parent
STEPS = (("resnet18", 64), ("resnet20", 256), ("resnet8", 256))


def sides(options, executable, script, arguments):
    """(ours, peer), both started with the same arguments."""
    our_isa, peer_environment = lockstep.isa_settings(options.isa)
    ours = shlex.split(options.ours) if options.ours else [lockstep.ROOT / options.build / "bench" / executable]
    common = ["--threads", options.threads, *arguments]
    if options.ours:
        our_isa = []
    environment = {"OMP_NUM_THREADS": str(options.threads)}
    return (ours + common + our_isa, environment), ([sys.executable, PEERS / script] + common, environment | peer_environment)


def measure(options, executable, script, arguments, work):
    ours, peer = sides(options, executable, script, [*arguments, "--round"])
    ours, peer = lockstep.Side("ours", *ours), lockstep.Side("torch", *peer)
    try:
        return work(ours, peer)
    finally:
        ours.close()
        peer.close()


def ratio_cell(result):
    low, high = result["quartiles"]
    return f"**{result['ratio']:.2f}** ({low:.2f}–{high:.2f})"


def step(options):
    facts, rows, data = lockstep.circumstances(options.isa, options.threads), [], []
    for model, batch in options.models or STEPS:
        for kind in options.steps:
            arguments = ["--model", model, "--batch", batch, "--step", kind, "--round-seconds", options.round_seconds or 2.0]

            def work(ours, peer):
                facts["torch"] = f"{peer.ready['version']} {peer.ready['isa']}"
                facts["ours"] = json.dumps(ours.ready)
                pairs = lockstep.alternate(ours, peer, options.rounds, "images_per_second")
                return lockstep.ratios(*pairs) | {"model": model, "batch": batch, "step": kind, "layout": peer.ready["layout"]}

            result = measure(options, "train_step_bench", "torch_step.py", arguments, work)
            data.append(result)
            rows.append([model, batch, kind, f"{result['ours']:.0f}", f"{result['peer']:.0f}", result["layout"], ratio_cell(result)])
            print(*rows[-1], flush=True)
    header = ["network", "batch", "step", "Kagami img/s", "PyTorch img/s", "its layout", "ratio (quartiles)"]
    title = f"Training step: Kagami and PyTorch, {options.threads} threads, f32, {options.rounds} rounds"
    lockstep.save(lockstep.results_folder(options.out), f"step-{options.isa}", title, facts, header, rows, data)


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def conv(options):
    facts, rows, data = lockstep.circumstances(options.isa, options.threads), [], []

    cases = [(network, kind, shape, which) for network, kind, shape in conv_layers.layers() for which in conv_layers.passes(shape)]
    speeds = [([], []) for _ in cases]  # ours, peer's

    def work(ours, peer):
        facts["torch"] = f"{peer.ready['version']} {peer.ready['isa']}"
        facts["ours"] = json.dumps(ours.ready)
        for (_, _, shape, which), so_far in zip(cases, speeds):
            pairs = lockstep.alternate(ours, peer, options.rounds, "gflop_per_second", conv_layers.request(which, shape))
            for side, new in zip(so_far, pairs):
                side.extend(new)
            print(which, *shape, f"{lockstep.ratios(*pairs)['ratio']:.2f}", flush=True)

    # Where a process' memory lies decides up to a fifth of a layer's speed, on either side: so both start several times.
    for _ in range(options.starts):
        measure(options, "conv_bench", "torch_conv.py", ["--round-seconds", options.round_seconds or 0.2], work)
    for (network, kind, shape, which), pairs in zip(cases, speeds):
        result = lockstep.ratios(*pairs) | {"network": network, "kind": kind, "pass": which, "shape": shape}
        data.append(result)
        n, h, w, c, k, r, s, stride, pad = shape
        layer = f"{n}×{h}×{w}×{c} → {k}, {r}×{s}/{stride}"
        rows.append([network, layer, which, f"{result['ours']:.0f}", f"{result['peer']:.0f}", ratio_cell(result)])
    for kind in ("3x3", "strided", "1x1"):
        found = [r["ratio"] for r in data if r["kind"] == kind]
        facts[f"{kind} layers"] = f"geometric mean of the ratios {geometric_mean(found):.2f}, lowest {min(found):.2f}, of {len(found)}"
    header = ["network", "layer (input → outputs, kernel/stride)", "pass", "Kagami GFLOP/s", "PyTorch GFLOP/s", "ratio (quartiles)"]
    title = (f"Convolutions: Kagami and PyTorch, {options.threads} threads, f32, {options.starts} x {options.rounds} rounds, "
             "GFLOP/s of the direct algorithm")
    lockstep.save(lockstep.results_folder(options.out), f"conv-{options.isa}", title, facts, header, rows, data)


def run_once(command, environment):
    finished = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=lockstep.os.environ | environment)
    if finished.returncode != 0:
        sys.exit(f"{shlex.join(map(str, command))} ended with exit code {finished.returncode}:\n{finished.stderr}")
    return json.loads(finished.stdout.strip().splitlines()[-1])


def memory(options):
    facts, rows, data = lockstep.circumstances(options.isa, options.threads), [], []
    for model, batch in options.models or STEPS:
        for kind in options.steps:
            commands = sides(options, "train_step_bench", "torch_step.py", ["--model", model, "--batch", batch, "--step", kind, "--memory"])
            ours, peer = (run_once(*command) for command in commands)
            facts["torch"] = f"{peer['version']} {peer['isa']}"
            data.append({"model": model, "batch": batch, "step": kind, "ours": ours, "peer": peer})
            ours, peer = ours["peak_bytes"] / 2**20, peer["peak_bytes"] / 2**20
            rows.append([model, batch, kind, f"{ours:.0f}", f"{peer:.0f}", f"{ours / peer:.2f}"])
    header = ["network", "batch", "step", "Kagami MiB", "PyTorch MiB", "ratio"]
    title = "Peak memory of a training step: Kagami's arena; PyTorch's peak RSS minus its RSS after import and a tiny step"
    lockstep.save(lockstep.results_folder(options.out), "memory", title, facts, header, rows, data)


def model_and_batch(text):
    model, batch = text.split(":")
    return model, int(batch)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["step", "conv", "memory"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--starts", type=int, default=3, help="of both programs, for conv: --rounds is of each")
    parser.add_argument("--round-seconds", type=float, help="2 for steps, 0.2 for convolutions")
    parser.add_argument("--isa", default="auto", choices=["auto", "avx2", "avx512"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--models", nargs="+", type=model_and_batch, metavar="MODEL:BATCH")
    parser.add_argument("--steps", nargs="+", default=["plain", "simclr"], choices=["plain", "simclr"])
    parser.add_argument("--build", default="build/cpu")
    parser.add_argument("--ours", metavar="COMMAND")
    parser.add_argument("--out", metavar="FOLDER")
    options = parser.parse_args()
    {"step": step, "conv": conv, "memory": memory}[options.what](options)


if __name__ == "__main__":
    main()
