#include "kernels/cpu/pool_kernels.h"

namespace kagami::cpu::KAGAMI_ISA {
namespace {

// Plain loops over the channels, which the compiler turns into vectors of this instruction set.

template <class T>
void keep_maximum(const T* __restrict x, int count, std::uint8_t tap, T* __restrict y,
                  std::uint8_t* __restrict winner) {
  for (int i = 0; i < count; ++i) {
    const bool wins = x[i] > y[i] || x[i] != x[i];
    y[i] = wins ? x[i] : y[i];
    winner[i] = wins ? tap : winner[i];
  }
}

template <class T>
void add_where(const T* __restrict dy, const std::uint8_t* __restrict winner, std::uint8_t tap, int count,
               T* __restrict dx) {
  for (int i = 0; i < count; ++i) dx[i] += winner[i] == tap ? dy[i] : T(0);
}

/// Sums in double: the mean of many pixels is as exact as one value.
template <class T>
void sum_rows(const T* __restrict x, int rows, int count, T scale, T* __restrict y) {
  constexpr int block = 32;
  for (int first = 0; first < count; first += block) {
    const int size = count - first < block ? count - first : block;
    double sums[block] = {};
    for (std::int64_t r = 0; r < rows; ++r)
      for (int i = 0; i < size; ++i) sums[i] += x[r * count + first + i];
    for (int i = 0; i < size; ++i) y[first + i] = static_cast<T>(sums[i] * scale);
  }
}

template <class T>
void spread_rows(const T* __restrict dy, int rows, int count, T scale, Accumulate accumulate, T* __restrict dx) {
  for (std::int64_t r = 0; r < rows; ++r) {
    T* to = dx + r * count;
    if (accumulate == Accumulate::yes) {
      for (int i = 0; i < count; ++i) to[i] += scale * dy[i];
    } else {
      for (int i = 0; i < count; ++i) to[i] = scale * dy[i];
    }
  }
}

}  // namespace

const PoolKernels<float> pool_float{keep_maximum<float>, add_where<float>, sum_rows<float>, spread_rows<float>};
const PoolKernels<double> pool_double{keep_maximum<double>, add_where<double>, sum_rows<double>, spread_rows<double>};

}  // namespace kagami::cpu::KAGAMI_ISA
