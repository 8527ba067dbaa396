#pragma once
// The loops of the augmentation that are compiled per instruction set. They work on planes: three channels of a
// size x size view, each transposed ([x][y], y contiguous), so that resizing along x needs no gathers.
#include <cstdint>

namespace kagami::cpu {

/// Floats beyond the last pixel of a plane that a loop may read or write.
constexpr int plane_padding = 32;

struct Planes {
  float* channel[3];
  int size;  ///< pixels: size * size
};

/// For each of `size` output pixels of one axis the input pixels [first, first + count) and their weights.
struct AxisWeights {
  const int* first;
  const int* count;
  const float* weights;  ///< of output i at i * stride
  int stride;
};

struct AugmentKernels {
  /// Resizes a crop of 8-bit RGB rows, `row_bytes` apart and `width` pixels wide, to planes in [0, 1]; mirrored left to
  /// right if asked. `columns`: scratch of 3 * (width + 16) * 16 floats. Zeroes the padding of the planes.
  void (*resize)(const std::uint8_t* crop, std::int64_t row_bytes, int width, const AxisWeights& vertical,
                 const AxisWeights& horizontal, bool mirror, float* columns, const Planes& out);
  void (*brightness)(const Planes& x, float factor);
  void (*contrast)(const Planes& x, float factor);
  void (*saturation)(const Planes& x, float factor);
  void (*hue)(const Planes& x, float turns);
  void (*gray)(const Planes& x);
  /// Separable symmetric filter with reflected borders; weights[0] is the centre's. `scratch`: size * size plus
  /// size + 2 * radius plus plane_padding floats.
  void (*blur)(const Planes& x, const float* weights, int radius, float* scratch);
  void (*solarize)(const Planes& x, float threshold);
  /// (x - mean) * inverse_std to [size, size, 3].
  void (*store)(const Planes& x, const float* mean, const float* inverse_std, float* out);
};

namespace baseline {
extern const AugmentKernels augment_kernels;
}
#if defined(__x86_64__)
namespace avx2 {
extern const AugmentKernels augment_kernels;
}
namespace avx512 {
extern const AugmentKernels augment_kernels;
}
#endif

}  // namespace kagami::cpu
