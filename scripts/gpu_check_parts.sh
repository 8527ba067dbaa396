# Sourced by gpu_check.sh: its parts. Each writes $out/PART.json and its table at the end of what it prints; `deadline`
# is when it must be done, in seconds since 1970.

seconds_left() { echo $((deadline - $(date +%s))); }
# within SECONDS COMMAND...: a command that may take so long, and no longer than the part may.
within() {
  local most=$1 left
  left=$(seconds_left)
  shift
  if [ "$left" -le 5 ]; then echo "-- no time left for: $*"; return 124; fi
  timeout "$((most < left ? most : left))" "$@"
}

# not_passed PART CODE: says so in its log, whose table is then last all the same, and in a JSON file where it wrote none.
not_passed() {
  echo "== $1: FAILED (exit code $2)"
  printf '\n| part | result |\n|---|---|\n| %s | FAILED (exit code %d), see above |\n' "$1" "$2" >>"$out/$1.log"
  [ -s "$out/$1.json" ] || printf '{"part": "%s", "failed": true, "exit_code": %d, "commit": "%s"}\n' "$1" "$2" "$commit" >"$out/$1.json"
}

# What the source here is: its commit, with a checksum of what differs from it; "unknown" outside of git.
source_commit() {
  local head difference
  head=$(git rev-parse HEAD 2>/dev/null) || { echo unknown; return; }
  difference=$(git diff HEAD | cksum | cut -d' ' -f1)
  if git diff --quiet HEAD; then echo "$head"; else echo "$head-dirty-$difference"; fi
}
packed_commit() { cat $packed/commit 2>/dev/null || echo unknown; }
find_nvcc() { command -v nvcc || echo "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc"; }

# name_commit FILE: the commit that the programs were built from becomes a part of a JSON file.
name_commit() {
  "$python" - "$1" "$commit" <<'PYTHON' || echo "-- $1 does not name the commit"
import json, sys
path, commit = sys.argv[1:]
data = json.load(open(path))
named = {"commit": commit, **(data if isinstance(data, dict) else {"results": data})}
with open(path, "w") as file: json.dump(named, file, indent=1)
PYTHON
}

# A Python with torch for the comparison of steps; else any Python, for the tables.
find_python() {
  local candidate
  for candidate in build/peers/bin/python python3; do
    if "$candidate" -c 'import torch, torchvision' 2>/dev/null; then echo "$candidate"; return; fi
  done
  command -v python3 || true
}

# Builds the preset cuda and gathers stripped programs with the libraries they need but the C and C++ ones.
pack() {
  local program bytes most=40000000 built_from
  if [ ! -x "$(find_nvcc)" ]; then
    echo "scripts/gpu_check.sh: no nvcc here and no $packed: run 'scripts/gpu_check.sh pack' where the toolkit is, copy $packed" >&2
    return 1
  fi
  built_from=$(source_commit)
  cmake --preset cuda >/dev/null
  cmake --build build/cuda -j "$(nproc)" --target kagami_tests kagami_program kernels_vs_vendor pretrain_bench
  rm -rf "$packed"
  mkdir -p "$packed/lib"
  for program in tests/kagami_tests kagami bench/kernels_vs_vendor bench/pretrain_bench; do
    strip -o "$packed/$(basename "$program")" "build/cuda/$program"
    ldd "build/cuda/$program" | awk '/=> \// {print $3}' | grep -vE '/(libc|libm|libdl|libpthread|librt|ld-linux[^/]*|libstdc\+\+|libgcc_s)\.so' |
      xargs -r cp -Lt "$packed/lib"
  done
  bytes=$(du -cb "$packed/kagami_tests" "$packed/lib" | tail -1 | cut -f1)
  echo "$packed: $(du -sh "$packed" | cut -f1); the tests with their libraries $((bytes / 1000000)) MB"
  echo "$built_from" >"$packed/commit"
  [ "$bytes" -le $most ] || { echo "scripts/gpu_check.sh: that is more than $((most / 1000000)) MB" >&2; return 1; }
}

# Tests that read the checkout, which is not where the programs were built when they come from elsewhere. None concerns a
# GPU; every other test runs, so that none of CUDA code is forgotten.
of_the_checkout='Isa.*:Mlp.IsPyTorchs:Networks/ResNetReference.*:OpsList.*:OpsReference.*:Optimizer.AgreesWithPyTorch:Recipes.*:Repository*'

# Every test. They write what tensor-core instructions gave into $out/golden: copied to
# tests/kernels/golden they are what the emulator is compared with.
part_verify() {
  local failed=0 small='Ptx*:CopyCuda*:SoftmaxCuda*:OptimizerCuda*:ContrastiveCuda*' sanitizer="not run: compute-sanitizer is not installed"
  rm -rf "$out/golden"
  mkdir -p "$out/golden"
  KAGAMI_GOLDEN=$(realpath "$out")/golden KAGAMI_PROGRAM=$PWD/$packed/kagami within 300 $packed/kagami_tests --gtest_output="json:$out/verify.json" --gtest_brief=1 \
    --gtest_filter="-$of_the_checkout" || failed=1
  if command -v compute-sanitizer >/dev/null; then
    sanitizer="no errors"
    for tool in memcheck racecheck initcheck synccheck; do
      echo "-- compute-sanitizer --tool $tool"
      within 60 compute-sanitizer --tool $tool --error-exitcode 9 $packed/kagami_tests --gtest_brief=1 --gtest_filter="$small" || {
        local code=$?
        if [ $code = 9 ]; then sanitizer="$tool found errors, see the log"; failed=1; else sanitizer="not run to its end ($tool: exit code $code)"; fi
        break
      }
    done
  fi
  if [ ! -s "$out/verify.json" ]; then echo "the tests did not come to their end"; return 1; fi
  echo "| GPU | tests | failed | skipped | compute-sanitizer |"
  echo "|---|---|---|---|---|"
  "$python" - "$out/verify.json" "$gpu" "$sanitizer" <<'PYTHON'
import json, sys
cases = [t for s in json.load(open(sys.argv[1]))["testsuites"] for t in s["testsuite"]]
ran = [t for t in cases if t.get("result") == "COMPLETED"]
failed = [t for t in ran if t.get("failures")]
for t in failed: print(f"FAILED {t['classname']}.{t['name']}", file=sys.stderr)
print(f"| {sys.argv[2]} | {len(ran)} | {len(failed)} | {sum(t.get('result') == 'SKIPPED' for t in cases)} | {sys.argv[3]} |")
if not any("Cuda" in t["classname"] for t in ran): sys.exit("no test of a CUDA kernel ran: the program finds no GPU that it can use")
PYTHON
  return $failed
}

# Rows in chunks, the most telling first: a chunk that is done stays done, so a second run goes on where time ran out.
# What programs of another commit measured is measured again.
part_kernels() {
  local chunks=('matmul=^matmul/' 'flat=^(augment|optimizer|ntxent|info_nce)/') arithmetic network pass
  for arithmetic in bf16 tf32 fp32; do
    for network in resnet18-cifar-1024 resnet50-256 resnet50-512; do
      for pass in forward dgrad wgrad; do chunks+=("$arithmetic-$network-$pass=^conv/$arithmetic/$pass/$network/"); done
      [ $arithmetic = tf32 ] || chunks+=("$arithmetic-$network-norm=^batch_norm/$arithmetic/.*/$network/")
    done
  done
  local chunk only file left=0
  mkdir -p "$out/kernels"
  for file in "$out"/kernels/*.json; do grep -qs "\"commit\": \"$commit\"" "$file" || rm -f "$file"; done
  for chunk in "${chunks[@]}"; do
    file=$out/kernels/${chunk%%=*}.json
    [ ! -s "$file" ] || continue
    case $chunk in bf16*|tf32*|fp32*) only=(--dtype "${chunk%%-*}") ;; *) only=() ;; esac
    if within 300 $packed/kernels_vs_vendor "${only[@]}" --benchmark_filter="${chunk#*=}" --benchmark_context="commit=$commit" --benchmark_out="$file.part" && [ -s "$file.part" ]; then
      mv "$file.part" "$file"
    else
      rm -f "$file.part"
      left=$((left + 1))
      echo "-- left for another run: ${chunk%%=*}"
    fi
  done
  if ! compgen -G "$out/kernels/*.json" >/dev/null; then echo "nothing was measured"; return 1; fi
  "$python" bench/vendor_table.py --json "$out/kernels.json" "$out"/kernels/*.json
  if [ $left -gt 0 ]; then echo "$left of ${#chunks[@]} groups are left: run this part again"; fi
  ! grep -q '"error_occurred": true' "$out"/kernels/*.json
}

# The same step by both sides, in turns.
part_steps() {
  within "$(seconds_left)" "$python" bench/peers/gpu_steps.py --kagami $packed/pretrain_bench --json "$out/steps.json" --seconds "$(seconds_left)"
}

# Learns, repeats to the same bits, goes on after a stop to the same bits, and continues on the CPU.
part_train() {
  local runs=build/gpu_check_runs small=(--data procedural:4000 --arch resnet18 --batch 256 --epochs 2 --warmup-epochs 1 --knn-every 0 --seed 5 --device cuda)
  rm -rf $runs
  within 120 $packed/kagami pretrain "${small[@]}" --out $runs/a
  within 120 $packed/kagami pretrain "${small[@]}" --out $runs/b
  same "$runs/a" "$runs/b" "a second run"
  $packed/kagami pretrain "${small[@]}" --out $runs/c & local stopped=$!
  while [ ! -s $runs/c/log.jsonl ] && kill -0 $stopped 2>/dev/null; do sleep 0.2; done
  kill -INT $stopped 2>/dev/null || true
  wait $stopped || true
  within 120 $packed/kagami pretrain --resume --out $runs/c
  same "$runs/a" "$runs/c" "a run that was stopped and resumed"
  within 240 $packed/kagami pretrain --data procedural --recipe apps/recipes/simclr-demo.ini --device cuda --out $runs/learns
  "$python" -c 'import json, sys; json.dump([json.loads(line) for line in sys.stdin], sys.stdout)' <$runs/learns/log.jsonl >"$out/train.json"
  echo "| run | last line of its log |"
  echo "|---|---|"
  echo "| simclr-demo on the procedural images | $(tail -1 $runs/learns/log.jsonl) |"
}

# same RUN RUN WHAT: their weights are the same bytes.
same() {
  if "$python" - "$1/checkpoint.safetensors" "$2/checkpoint.safetensors" <<'PYTHON'
import json, struct, sys
def tensors(path):
    data = open(path, "rb").read()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    return {name: data[8 + length + t["data_offsets"][0] : 8 + length + t["data_offsets"][1]] for name, t in header.items()}
a, b = map(tensors, sys.argv[1:])
differ = [name for name in a if a[name] != b.get(name)]
sys.exit(f"{len(differ)} of {len(a)} tensors differ, {differ[:3]}" if differ or a.keys() != b.keys() else 0)
PYTHON
  then echo "-- $3 gives bitwise the same state"; else echo "-- $3 gives OTHER bits"; return 1; fi
}
