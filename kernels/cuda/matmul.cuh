#pragma once
// Matrix products on the main loop of gemm.cuh. matmul*.cu instantiate it, one type each.
#include <stdexcept>
#include <string>

#include "kernels/matmul.h"

#include "kernels/cuda/cublaslt.h"
#include "kernels/cuda/gemm_tiles.cuh"
#include "kernels/matmul_library.h"

namespace kagami {
namespace gemm {

/// Whether rows of `ld` elements can be read `vector` elements at a time, and `extent` of them is a whole number.
template <class T>
bool readable(const T* data, std::int64_t ld, std::int64_t stride, int extent, int vector) {
  return on_boundary(data, vector) && ld % vector == 0 && stride % vector == 0 && extent % vector == 0;
}

template <Arithmetic arithmetic, class A, class B, class Out>
void multiply(Cuda device, const A& a, const B& b, const MatrixResult<Out>& result, int batch, bool aligned) {
  constexpr int vector = 16 / sizeof(typename A::Element);
  const ProductSize size{result.rows, result.columns, a.k, batch, aligned, batch == 1};
  const Plan plan = gemm::plan(arithmetic, size);
  with_core<arithmetic, vector>(plan.tile, aligned, [&]<class Core, int Vector>() {
    if (plan.splits > 1) return launch_split<Core, Vector>(device, plan, a.k, a, b, result);
    launch_product<Core, Vector>(device, result.rows, result.columns, batch, Range{0, a.k}, a, b, result);
  });
}

template <Arithmetic arithmetic, class T, class Out>
void multiply(Cuda device, const MatmulShape& shape, bool transpose_a, bool transpose_b, const T* a, const T* b,
              const MatrixResult<Out>& result) {
  constexpr int vector = 16 / sizeof(T);
  const auto [m, n, k, batch, lda, ldb, ldc, stride_a, stride_b, stride_c] = shape;
  const bool aligned = readable(a, lda, stride_a, transpose_a ? m : k, vector) &&
                       readable(b, ldb, stride_b, transpose_b ? k : n, vector);
  const auto with_b = [&](const auto& left) {
    if (transpose_b)
      multiply<arithmetic>(device, left, Matrix<T, true>{b, ldb, stride_b, n, k}, result, batch, aligned);
    else
      multiply<arithmetic>(device, left, Matrix<T, false>{b, ldb, stride_b, n, k}, result, batch, aligned);
  };
  if (transpose_a)
    with_b(Matrix<T, false>{a, lda, stride_a, m, k});
  else
    with_b(Matrix<T, true>{a, lda, stride_a, m, k});
}

/// The same product by the library, in the algorithm it thinks best.
template <class Out>
void multiply(Cuda device, const cuda::CublasLt& library, cuda::LibraryProduct product,
              const MatrixResult<Out>& result) {
  const auto run = [&](bool accumulate) {
    const std::unique_ptr<cuda::LibraryPlan> plan = library.plan(product, {});
    if (plan->algorithms() == 0)
      throw std::runtime_error(library.version() + " has no algorithm for a product of [" +
                               std::to_string(product.shape.m) + ',' + std::to_string(product.shape.k) + "] and [" +
                               std::to_string(product.shape.k) + ',' + std::to_string(product.shape.n) +
                               "]: use --matmul own");
    const Scratch<unsigned char> workspace(device.memory, plan->workspace_bytes(0));
    plan->run(0, accumulate, workspace.data(), device.stream);
  };
  if (!result.epilogue.bias && !result.epilogue.relu) return run(result.epilogue.added != nullptr);
  // It adds no bias of floats to a result of bf16: sums first, then what our split sums end with (bias, ReLU).
  const std::int64_t size = std::int64_t{result.rows} * result.columns;
  const Scratch<float> sums(device.memory, static_cast<std::size_t>(product.shape.batch * size));
  product.c = sums.data();
  product.float_result = true;
  product.shape.ldc = result.columns, product.shape.stride_c = size;
  run(false);
  for (int i = 0; i < product.shape.batch; ++i) {
    MatrixResult<Out> one = result;
    one.select(i);
    launch<sum_partials<Out>>(device, {static_cast<std::uint32_t>((size + 255) / 256)}, {256}, 0,
                              static_cast<const float*>(sums.data() + i * size), 1, result.columns, Channels{}, one);
  }
}

}  // namespace gemm

template <class T, class Out>
void matmul(Cuda device, const MatmulShape& shape, bool transpose_a, bool transpose_b, const T* a, const T* b, Out* c,
            Accumulate accumulate, const MatmulEpilogue<T>& epilogue) {
  constexpr int most_parts = 65535;  // gridDim.z
  if (shape.m == 0 || shape.n == 0) return;
  const cuda::CublasLt* library = shape.k > 0 ? matmul_library() : nullptr;
  for (int first = 0; first < shape.batch; first += most_parts) {
    MatmulShape part = shape;
    part.batch = std::min(shape.batch - first, most_parts);
    if (part.batch == 1) part.stride_a = part.stride_b = part.stride_c = 0;
    const T *a_part = a + first * shape.stride_a, *b_part = b + first * shape.stride_b;
    Out* to = c + first * shape.stride_c;
    const gemm::MatrixResult<Out> result{
        to,
        part.ldc,
        part.stride_c,
        part.m,
        part.n,
        gemm::readable(to, part.ldc, part.stride_c, 0, 4),
        {nullptr, epilogue.bias, accumulate == Accumulate::yes ? to : nullptr, epilogue.relu}};
    gemm::with_arithmetic<T>(device, [&]<gemm::Arithmetic arithmetic>() {
      if (library)
        return gemm::multiply(
            device, *library,
            {part, transpose_a, transpose_b, arithmetic, std::is_same_v<Out, float>, a_part, b_part, to}, result);
      gemm::multiply<arithmetic>(device, part, transpose_a, transpose_b, a_part, b_part, result);
    });
  }
}

}  // namespace kagami
