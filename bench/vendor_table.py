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
    """(context, rows); a row that failed has its message instead of numbers."""
    with open(path) as file:
        data = json.load(file)
    rows = []
    for entry in data["benchmarks"]:
        name = entry["name"].split("/iterations:")[0]
        if not name.startswith("geometric_means"):
            rows.append((name, entry))
    return data["context"], rows


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


def merge(paths, to):
    """One file of all rows, with the first file's context."""
    files = [json.load(open(path)) for path in paths]
    with open(to, "w") as file:
        json.dump({"context": files[0]["context"], "benchmarks": [entry for f in files for entry in f["benchmarks"]]}, file, indent=1)


def main(paths):
    merged = None
    if paths[:1] == ["--json"]:
        merged, paths = paths[1], paths[2:]
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    if merged:
        merge(paths, merged)
    everything = []
    for path in paths:
        context, rows = rows_of(path)
        if not everything:
            for key in ("device", "cudnn", "cublaslt", "copy_gb_per_second", "date"):
                if key in context:
                    print(f"- {key}: {context[key]}")
            print("- ceilings, TFLOP/s: " + ", ".join(f"{d} {float(context[k]):.0f}" for d in ("bf16", "tf32", "fp32")
                                                     if (k := f"ceiling_{d}_tflops") in context))
            print("\n| kernel | " + " | ".join(title for title, *_ in COLUMNS) + " | vendor's way |")
            print("|---|" + "---:|" * len(COLUMNS) + "---|")
        for name, entry in rows:
            note = "FAILED: " + entry.get("error_message", "") if entry.get("error_occurred") else entry.get("label", "")
            print(line(name, {} if entry.get("error_occurred") else entry, note))
        everything += [(name, entry) for name, entry in rows if not entry.get("error_occurred")]
    for group, found in sorted(means(everything).items()):
        if found:
            print(line(f"**{group}, geometric mean**", found, ""))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
