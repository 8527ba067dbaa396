#pragma once
// Matrix products for tests on CUDA: operands, and what the CPU computes from them in double.
#if KAGAMI_HAS_CUDA
#include "tests/kernels/cuda_case.h"
#include "tests/kernels/cuda_numbers.h"
#include "tests/kernels/matmul_case.h"

namespace kagami {

/// One product in T, its result in Out, and what the CPU computes in double from the same operands.
template <class T, class Out = T>
struct MatmulProblem {
  MatmulProblem(const MatmulCase& t, bool transpose_a, bool transpose_b, Accumulate accumulate = Accumulate::no)
      : shape(shape_of(t, transpose_a, transpose_b)),
        transpose_a(transpose_a),
        transpose_b(transpose_b),
        accumulate(accumulate) {
    a = normal_values<T>(t.batch * shape.stride_a, 1), b = normal_values<T>(t.batch * shape.stride_b, 2);
    bias = normal_values<Wide<T>>(t.n, 3), before = normal_values<Out>(t.batch * shape.stride_c, 4);
  }
  std::vector<double> expected() const {
    Arena arena;
    std::vector<double> c = as_doubles(before);
    matmul(Cpu{&arena}, shape, transpose_a, transpose_b, as_doubles(a).data(), as_doubles(b).data(), c.data(),
           accumulate,
           {accumulate == Accumulate::yes ? as_doubles(bias).data() : nullptr, accumulate == Accumulate::yes});
    return c;
  }
  std::vector<Out> computed(const Cuda& device) const {
    const OnDevice<T> da(a), db(b);
    const OnDevice<Wide<T>> dbias(bias);
    const OnDevice<Out> dc(before);
    matmul(device, shape, transpose_a, transpose_b, da.data(), db.data(), dc.data(), accumulate,
           {accumulate == Accumulate::yes ? dbias.data() : nullptr, accumulate == Accumulate::yes});
    return dc.host();
  }

  MatmulShape shape;
  bool transpose_a, transpose_b;
  Accumulate accumulate;  // yes: with a bias and ReLU, too
  std::vector<T> a, b;
  std::vector<Wide<T>> bias;
  std::vector<Out> before;
};

/// Tails in every direction, aligned rows and rows that are not, a sum in parts, one row, one column, a batch.
inline const MatmulCase matmul_cases[] = {{1, 1, 1},          {6, 16, 5, 1, 0}, {40, 72, 48},
                                          {33, 70, 19, 1, 3}, {1, 128, 64},     {50, 1, 40, 2, 1},
                                          {8, 24, 40, 3, 8},  {20, 36, 300},    {12, 10, 261}};
inline Cuda test_cuda_with_tf32() {
  Cuda device = test_cuda();
  device.tf32 = true;
  return device;
}

}  // namespace kagami
#endif
