#!/usr/bin/env python3
"""Prints what kernels_vs_vendor measured (--benchmark_out=FILE.json) as a table in Markdown: a row a kernel, geometric means last.

    vendor_table.py [--json MERGED.json] FILE.json [FILE.json ...]

ratio: the vendor's time / ours; older: the same against the vendor's fastest kernel that does not need sm_90; roofline: the least possible time / ours.
"""

import json
import math
import sys

COLUMNS = (("ours us", "ours_us", "{:.1f}"), ("vendor us", "vendor_us", "{:.1f}"), ("ratio", "ratio", "{:.2f}"), ("older", "ratio_before_sm90", "{:.2f}"),
           ("roofline", "roofline", "{:.2f}"), ("TFLOP/s", "TFLOP/s", "{:.1f}"), ("GB/s", "GB/s", "{:.0f}"))
AVERAGED = ("ratio", "ratio_before_sm90", "roofline")


def rows_of(path):
    """Names and rows; a row that failed has its message instead of numbers."""
    with open(path) as file:
        entries = json.load(file)["benchmarks"]
    named = [(entry["name"].split("/iterations:")[0], entry) for entry in entries]
    return [(name, entry) for name, entry in named if not name.startswith("geometric_means")]


def group_of(name):
    kind, *rest = name.split("/")
    return "/".join([kind, *rest[:2]]) if kind in ("conv", "matmul", "batch_norm") else kind


def means(rows):
    groups = {}
    for name, entry in rows:
        group = groups.setdefault(group_of(name), {key: [] for key in AVERAGED})
        for key in AVERAGED:
            if entry.get(key, 0) > 0:
                group[key].append(entry[key])
    return {group: {key: math.exp(sum(map(math.log, values)) / len(values)) for key, values in found.items() if values} for group, found in groups.items()}


def line(name, entry, note):
    cells = [form.format(entry[key]) if key in entry else "" for _, key, form in COLUMNS]
    return "| " + " | ".join([name, *cells, note]) + " |"


def context_of(paths):
    """What the files say of their machine; each may know only the ceilings of its own arithmetic."""
    context = {}
    for path in paths:
        with open(path) as file:
            context = json.load(file)["context"] | context
    return context


def merge(paths, to):
    """One file of all rows."""
    rows = [entry for path in paths for _, entry in rows_of(path)]
    with open(to, "w") as file:
        json.dump({"context": context_of(paths), "benchmarks": rows}, file, indent=1)


def main(paths):
    merged = None
    if paths[:1] == ["--json"]:
        merged, paths = paths[1], paths[2:]
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    if merged:
        merge(paths, merged)
    context = context_of(paths)
    for key in ("commit", "device", "cudnn", "cublaslt", "copy_gb_per_second", "date"):
        if key in context:
            print(f"- {key}: {context[key]}")
    print("- ceilings, TFLOP/s: " + ", ".join(f"{d} {float(context[k]):.0f}" for d in ("bf16", "tf32", "fp32") if (k := f"ceiling_{d}_tflops") in context))
    print("\n| kernel | " + " | ".join(title for title, *_ in COLUMNS) + " | vendor's way |")
    print("|---|" + "---:|" * len(COLUMNS) + "---|")
    everything = []
    for name, entry in (row for path in paths for row in rows_of(path)):
        if entry.get("error_occurred"):
            print(line(name, {}, "FAILED: " + entry.get("error_message", "")))
        else:
            print(line(name, entry, entry.get("label", "")))
            everything.append((name, entry))
    for group, found in sorted(means(everything).items()):
        if found:
            print(line(f"**{group}, geometric mean**", found, ""))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
