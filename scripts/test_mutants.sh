#!/usr/bin/env bash
# Are the tests of the CUDA kernels good enough? Plants one defect at a time in a copy of the real kernels and expects
# the emulated build's tests to fail. Needs about half an hour on two cores.
#   scripts/test_mutants.sh          all mutants
#   scripts/test_mutants.sh bn_ nt   those whose names start so
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1:-} in -h|--help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
chosen=("$@")
copy=build/mutants
log=$PWD/$copy/log
missed=0 planted=0

prepare() {
  rm -rf "$copy/source"
  mkdir -p "$copy/source"
  git ls-files -z | xargs -0 cp --parents --target-directory="$copy/source"
  local launcher=()
  if command -v ccache >/dev/null; then launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
  (cd "$copy/source" && cmake --preset emulated -B ../build "${launcher[@]}" && build) >"$log" 2>&1 ||
    { tail -20 "$log"; echo "scripts/test_mutants.sh: the kernels without a defect do not build" >&2; exit 1; }
}

build() { cmake --build "$PWD/../build" -j "$(nproc)" --target kagami_tests kernels_vs_vendor; }

# passes FILTER: whether the tests that match it pass; of options, whether rows of kernels_vs_vendor do. Log: their output.
passes() {
  case $1 in
    --*) timeout 300 "$copy/build/bench/kernels_vs_vendor" $1 --rounds 1 >"$log" 2>&1 && ! grep -q 'ERROR OCCURRED' "$log" ;;
    *) timeout 300 "$copy/build/tests/kagami_tests" --gtest_filter="$1" --gtest_brief=1 >"$log" 2>&1 ;;
  esac
}

# mutant NAME FILE FILTER SED: the defect is planted in kernels/cuda/FILE, the tests that match FILTER must fail.
mutant() {
  local name=$1 file=kernels/cuda/$2 filter=$3 change=$4 prefix wanted=no
  for prefix in "${chosen[@]:-}"; do [[ $name == "$prefix"* ]] && wanted=yes; done
  [ "$wanted" = yes ] || return 0
  planted=$((planted + 1))
  printf '%-34s' "$name"
  sed "$change" "$file" >"$copy/source/$file"
  if cmp -s "$file" "$copy/source/$file"; then
    echo "NOT PLANTED: $file has changed, so must the mutant"
    missed=$((missed + 1))
    return
  fi
  if ! (cd "$copy/source" && build) >"$log" 2>&1; then
    echo "DOES NOT BUILD: $(grep -m1 error "$log")"
    missed=$((missed + 1))
  elif (passes "$filter") 2>/dev/null; then
    echo "MISSED by $filter"
    missed=$((missed + 1))
  else
    local status=$? first
    first=$(grep -m1 -oE "\[  FAILED  \] [^ ,]*|[a-z]+ result is wrong" "$log" | sed 's/^\[  FAILED  \] //' || true)
    echo "caught: ${first:-exit status $status}"
  fi
  cp "$file" "$copy/source/$file"
}

prepare
# What every kernel of a product rests on.
mutant gemm_no_barrier gemm.cuh 'MatmulCuda*' 's|__syncthreads();  // stage|// stage|'
mutant gemm_wait_off_by_one gemm.cuh 'MatmulCuda*' 's|cp_async_wait_group<Core::stages - 2>|cp_async_wait_group<Core::stages - 1>|'
mutant gemm_fills_the_wrong_stage gemm.cuh 'MatmulCuda*' 's|fill(free);|fill(full);|'
mutant gemm_last_split_lost gemm.cuh 'MatmulCuda*' 's|split < splits;|split + 1 < splits;|'
mutant gemm_rows_unguarded gemm_operands.cuh 'MatmulCuda*' 's|line < lines_ && position_ < length_|position_ < length_|'
mutant gemm_columns_unguarded gemm_operands.cuh 'MatmulCuda*' 's|min(N, result.columns - column)|N|'
mutant conv_no_top_edge conv_operands.cuh '*Conv2dCuda*' 's|static_cast<unsigned>(h) < static_cast<unsigned>(pixels_.height) &&|h < pixels_.height \&\&|'
mutant conv_one_tap_a_step conv_operands.cuh '*Conv2dCuda*' 's|while (channel_ >= pixels_.channels)|if (channel_ >= pixels_.channels)|'
mutant conv_taps_backwards conv_operands.cuh '*Conv2dCuda*' 's|from.row + window.direction \* tap_row_|from.row + tap_row_|'
mutant wgrad_split_drops_its_tail gemm.cuh '*Conv2dCuda*' 's|tiles = (depth + Core::depth - 1) / Core::depth|tiles = (depth + (range.step > 0 \&\& z > 0 ? 0 : Core::depth - 1)) / Core::depth|'
# Batch norm.
mutant bn_sums_not_awaited batch_norm.cuh 'BatchNormCuda*' '/values\[i\]\[thread()\] = v\[i\];/,/double sum/s|__syncthreads();||'
mutant bn_sums_overwritten batch_norm.cuh 'BatchNormCuda*' '/__device__ double add(const/,/#pragma/s|__syncthreads();||'
mutant bn_centres_not_awaited batch_norm.cu 'BatchNormCuda*' '/centres\[sums.channel()\] = /,/float centre/s|__syncthreads();||'
mutant bn_tree_without_barrier batch_norm.cuh 'BatchNormCuda*' '/for (int step = finish_slices/,/if (slice/s|__syncthreads();||'
mutant bn_strips_of_equal_weight batch_norm.cu 'Conv2dEpilogueCuda*' 's/left < strips.rows ? left : strips.rows/strips.rows/'
mutant strip_counts_missing_rows gemm_strips.cuh 'Conv2dEpilogueCuda*' 's/min(StripRows, result.rows - first_row)/StripRows/'
mutant strip_leaves_lanes_out gemm_strips.cuh 'Conv2dEpilogueCuda*' 's/step < 32; step/step < 16; step/'
mutant bn_mask_shifted batch_norm_backward.cu 'BatchNormCuda*' 's/bits >> i/bits >> (i + 1)/'
# Contrastive losses.
mutant contrastive_operands_overwritten contrastive.cu 'ContrastiveCuda*' '/k < rows.dim; k += depth/,/operands.rows.load/s|__syncthreads();||'
mutant contrastive_operands_not_awaited contrastive.cu 'ContrastiveCuda*' '/operands.columns.load(columns, 0, k)/,/multiply/s|__syncthreads();||'
mutant contrastive_vectors_overwritten contrastive.cu 'ContrastiveCuda*' '/first < tile; first += depth/,/shared.weighed.load/s|__syncthreads();||'
mutant contrastive_keeps_what_is_no_negative contrastive.cu 'ContrastiveCuda*' 's/ || (met.of_keys && !shape.is_negative(i, j))//'
mutant contrastive_queue_without_its_tail contrastive.cu 'ContrastiveCuda*' 's/!met.has(column) || //'
mutant contrastive_low_halves_lost contrastive.cu 'ContrastiveCuda*' '/a.low, b.high/d'
mutant contrastive_hides_nan contrastive.cu 'ContrastiveCuda*' 's/more.largest = larger_or_nan(of_eight\[half \* 2 + c\], more.largest)/more.largest = of_eight[half * 2 + c] > more.largest ? of_eight[half * 2 + c] : more.largest/'
# Softmax, dropout, pooling, optimizers.
mutant softmax_maximum_stays softmax.cu 'SoftmaxCuda*' 's|largest = Team::reduce(largest, cuda::Larger{})|largest = 0|'
mutant dropout_keeps_by_other_words dropout.cu 'DropoutCuda*' 's|dropout_keeps(words\[k\]|dropout_keeps(words[3 - k]|'
mutant pool_ties_go_to_the_last pool.cu 'PoolCuda*' 's|value > best\[k\]|value >= best[k]|'
mutant pool_forgets_overlapping_windows pool.cu 'PoolCuda*' 's|(reach - shape.kernel) / shape.stride + 1|reach / shape.stride|'
mutant adamw_uncorrected optimizer.cu 'OptimizerCuda*' 's|\*result = adamw_corrections(.*;|& result->first = 1;|'
mutant target_follows_old_parameters optimizer.cu 'OptimizerCuda*' 's|write(p, copy, i, value);|const float before = p[i]; &|; s|ema_step(ema, followed, value)|ema_step(ema, followed, before)|'
# Reductions and the rest.
mutant reduce_overwritten reduce.cuh 'ReduceCuda*:Ops*:ContrastiveCuda*' 's|__syncthreads();  // the reduction before may still be read||'
mutant reduce_not_awaited reduce.cuh 'ReduceCuda*:Ops*' '/of_warp\[threadIdx.x \/ warp_lanes\] = value/,/value = of_warp/s|__syncthreads();||'
mutant layer_norm_not_awaited normalize.cu 'Ops*' '/parts\[threadIdx.y\]\[threadIdx.x\] = {/,/if (threadIdx.y/s|__syncthreads();||'
mutant lars_rates_not_awaited optimizer.cu 'OptimizerCuda*' '/__global__ void lars_kernel/,/const LarsRates/s|__syncthreads();||'
mutant augment_windows_not_awaited augment.cu 'AugmentCuda*' '/(row ? memory.rows : memory.columns)\[at\] = scaled/,/resized(/s|__syncthreads();||'
mutant augment_weights_not_awaited augment.cu 'AugmentCuda*' '/blur::gaussian(sigma/,/for (int i/s|__syncthreads();||'
mutant augment_mean_not_awaited augment.cu 'AugmentCuda*' '/shared.sums\[threadIdx.x \/ 32\] = sum/,/double total/s|__syncthreads();||'
# The benchmark looks at results before it times them.
mutant row_conv_no_top_edge conv_operands.cuh '--conv 2,7,7,16,24,3,3,1,1' 's|static_cast<unsigned>(h) < static_cast<unsigned>(pixels_.height) &&|h < pixels_.height \&\&|'
mutant row_bn_relu_cuts_at_one batch_norm.cu '--bn 2,8,8,16' 's|relu && 0 > value|relu \&\& 1 > value|'

[ "$planted" -gt 0 ] || { echo "scripts/test_mutants.sh: no mutant's name starts with: ${chosen[*]}" >&2; exit 2; }
echo "$((planted - missed)) of $planted mutants caught"
[ "$missed" = 0 ]
