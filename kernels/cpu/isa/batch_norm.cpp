#include "kernels/cpu/batch_norm_kernels.h"
#include "kernels/cpu/isa/vector.h"

namespace kagami::cpu::KAGAMI_ISA {
namespace {

// Channels are cut into tiles of `count` vectors V (a vector of floats, or one value for what is left and for double);
// sums of a narrow tile go to `unroll` accumulators in turn, so that additions do not wait for each other.

template <class V, class T>
constexpr int width = sizeof(V) / sizeof(T);

template <class V, class T>
KAGAMI_INLINE V get(const T* p) {
  if constexpr (sizeof(V) == sizeof(T)) {
    return *p;
  } else {
    return load(p);
  }
}

template <class V, class T>
KAGAMI_INLINE void put(T* p, V v) {
  if constexpr (sizeof(V) == sizeof(T)) {
    *p = v;
  } else {
    store(p, v);
  }
}

/// `count` vectors next to each other.
template <class V, int count>
struct Tile {
  V v[count];
  template <class T>
  KAGAMI_INLINE static Tile from(const T* p) {
    Tile t;
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i) t.v[i] = get<V>(p + i * width<V, T>);
    return t;
  }
  template <class T>
  KAGAMI_INLINE void to(T* p) const {
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i) put(p + i * width<V, T>, v[i]);
  }
  template <class F>
  KAGAMI_INLINE static Tile of(F f) {
    Tile t;
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i) t.v[i] = f(i);
    return t;
  }
};

/// Calls f<V, count, unroll>(first channel) for tiles that cover all channels.
template <class T, class F>
KAGAMI_INLINE void for_tiles(int channels, F f) {
  int c = 0;
  if constexpr (sizeof(T) == sizeof(float)) {
    for (; c + 4 * lanes <= channels; c += 4 * lanes) f.template operator()<Float, 4, 1>(c);
    for (; c + 2 * lanes <= channels; c += 2 * lanes) f.template operator()<Float, 2, 2>(c);
    for (; c + lanes <= channels; c += lanes) f.template operator()<Float, 1, 4>(c);
  }
  for (; c < channels; ++c) f.template operator()<T, 1, 1>(c);
}

/// The same for pieces of rows that stay in the first-level cache, so that wide rows are read whole: f(row, rows, c).
template <class T, class F>
KAGAMI_INLINE void for_cached_tiles(std::int64_t rows, int channels, F f) {
  constexpr std::int64_t cached = 2048;  // values
  const std::int64_t step = cached / channels > 4 ? cached / channels : 4;
  for (std::int64_t row = 0; row < rows; row += step) {
    const std::int64_t count = rows - row < step ? rows - row : step;
    for_tiles<T>(channels,
                 [&]<class V, int tile, int unroll>(int c) { f.template operator()<V, tile, unroll>(row, count, c); });
  }
}

/// Calls f(row, accumulator) for every row; row r goes to accumulator r % unroll.
template <int unroll, class F>
KAGAMI_INLINE void for_rows(std::int64_t rows, F f) {
  std::int64_t r = 0;
  for (; r + unroll <= rows; r += unroll) {
#pragma GCC unroll 4
    for (int u = 0; u < unroll; ++u) f(r + u, u);
  }
#pragma GCC unroll 4
  for (int u = 0; u < unroll - 1; ++u)
    if (r + u < rows) f(r + u, u);
}

template <class V, int count, int unroll>
KAGAMI_INLINE Tile<V, count> fold(const Tile<V, count> (&sums)[unroll]) {
  Tile<V, count> total = sums[0];
#pragma GCC unroll 4
  for (int u = 1; u < unroll; ++u) total = Tile<V, count>::of([&](int i) { return total.v[i] + sums[u].v[i]; });
  return total;
}

/// Kahan's sum: sum + rest is as if added in twice the precision. Rests have the sign of what is missing.
template <class V, int count>
KAGAMI_INLINE void add_exactly(Tile<V, count>& sum, Tile<V, count>& rest, const Tile<V, count>& more) {
#pragma GCC unroll 4
  for (int i = 0; i < count; ++i) {
    const V value = more.v[i] + rest.v[i], total = sum.v[i] + value;
    rest.v[i] = value - (total - sum.v[i]);
    sum.v[i] = total;
  }
}

template <class T>
void moments(const T* x, std::int64_t rows, int channels, T* mean, T* mean_rest, T* m2) {
  for_tiles<T>(channels, [&]<class V, int count, int unroll>(int c) {
    using Values = Tile<V, count>;
    Values sums[unroll] = {};
    for_rows<unroll>(rows, [&](std::int64_t r, int u) {
      const Values now = Values::from(x + r * channels + c);
      sums[u] = Values::of([&](int i) { return sums[u].v[i] + now.v[i]; });
    });
    const Values total = fold<V, count, unroll>(sums);
    const T share = T(1) / static_cast<T>(rows);
    const Values centre = Values::of([&](int i) { return total.v[i] * share; });
    Values squares[unroll] = {}, rests[unroll] = {};
    for_rows<unroll>(rows, [&](std::int64_t r, int u) {
      const Values now = Values::from(x + r * channels + c);
      const Values d = Values::of([&](int i) { return now.v[i] - centre.v[i]; });
      rests[u] = Values::of([&](int i) { return rests[u].v[i] + d.v[i]; });
      squares[u] = Values::of([&](int i) { return squares[u].v[i] + d.v[i] * d.v[i]; });
    });
    const Values rest = fold<V, count, unroll>(rests), square = fold<V, count, unroll>(squares);
    centre.to(mean + c);
    Values::of([&](int i) { return rest.v[i] * share; }).to(mean_rest + c);
    Values::of([&](int i) { return square.v[i] - rest.v[i] * rest.v[i] * share; }).to(m2 + c);
  });
}

template <class T, bool residual, bool relu>
KAGAMI_INLINE void apply_as(const BatchNormPiece<T>& piece, const T* added, T* y) {
  const std::int64_t channels = piece.channels;
  for_cached_tiles<T>(piece.rows, piece.channels,
                      [&]<class V, int count, int unroll>(std::int64_t row, std::int64_t rows, int c) {
                        using Values = Tile<V, count>;
                        const Values scale = Values::from(piece.scale + c), shift = Values::from(piece.shift + c);
                        for (std::int64_t at = row * channels + c, r = 0; r < rows; ++r, at += channels) {
                          const Values x = Values::from(piece.x + at);
                          const Values add = residual ? Values::from(added + at) : Values{};
                          Values::of([&](int i) {
                            V value = x.v[i] * scale.v[i] + shift.v[i];
                            if (residual) value += add.v[i];
                            return relu ? (V{} > value ? V{} : value) : value;  // keeps NaN
                          }).to(y + at);
                        }
                      });
}

template <class T>
void apply(const BatchNormPiece<T>& piece, const T* residual, bool relu, T* y) {
  if (residual && relu) {
    apply_as<T, true, true>(piece, residual, y);
  } else if (residual) {
    apply_as<T, true, false>(piece, residual, y);
  } else if (relu) {
    apply_as<T, false, true>(piece, residual, y);
  } else {
    apply_as<T, false, false>(piece, residual, y);
  }
}

/// g: dy where ReLU let the value through, else 0.
template <ReluMask mask, class V, int count, class T>
KAGAMI_INLINE Tile<V, count> masked(const BatchNormPiece<T>& piece, std::int64_t at, const Tile<V, count>& x,
                                    const Tile<V, count>& scale, const Tile<V, count>& shift) {
  using Values = Tile<V, count>;
  const Values dy = Values::from(piece.dy + at);
  if constexpr (mask == ReluMask::none) {
    return dy;
  } else if constexpr (mask == ReluMask::from_output) {
    const Values y = Values::from(piece.y + at);
    return Values::of([&](int i) { return y.v[i] > V{} ? dy.v[i] : V{}; });
  } else {
    return Values::of([&](int i) { return x.v[i] * scale.v[i] + shift.v[i] > V{} ? dy.v[i] : V{}; });
  }
}

template <class T, ReluMask mask>
KAGAMI_INLINE void reduce_as(const BatchNormPiece<T>& piece, T* sum_g, T* sum_g_rest, T* sum_gx) {
  const std::int64_t channels = piece.channels;
  for_tiles<T>(piece.channels, [&]<class V, int count, int unroll>(int c) {
    using Values = Tile<V, count>;
    const Values mean = Values::from(piece.mean + c);
    const Values scale = Values::from(piece.scale + c), shift = Values::from(piece.shift + c);
    Values sums[unroll] = {}, rests[unroll] = {}, products[unroll] = {};
    for_rows<unroll>(piece.rows, [&](std::int64_t r, int u) {
      const std::int64_t at = r * channels + c;
      const Values x = Values::from(piece.x + at);
      const Values g = masked<mask>(piece, at, x, scale, shift);
      add_exactly(sums[u], rests[u], g);
      products[u] = Values::of([&](int i) { return products[u].v[i] + g.v[i] * (x.v[i] - mean.v[i]); });
    });
#pragma GCC unroll 4
    for (int u = 1; u < unroll; ++u) {
      add_exactly(sums[0], rests[0], sums[u]);
      rests[0] = Values::of([&](int i) { return rests[0].v[i] + rests[u].v[i]; });
    }
    sums[0].to(sum_g + c);
    rests[0].to(sum_g_rest + c);
    fold<V, count, unroll>(products).to(sum_gx + c);
  });
}

template <class T>
void reduce(const BatchNormPiece<T>& piece, ReluMask mask, T* sum_g, T* sum_g_rest, T* sum_gx) {
  switch (mask) {
    case ReluMask::none:
      return reduce_as<T, ReluMask::none>(piece, sum_g, sum_g_rest, sum_gx);
    case ReluMask::from_output:
      return reduce_as<T, ReluMask::from_output>(piece, sum_g, sum_g_rest, sum_gx);
    case ReluMask::from_input:
      return reduce_as<T, ReluMask::from_input>(piece, sum_g, sum_g_rest, sum_gx);
  }
}

template <class V, int count, class T>
KAGAMI_INLINE void write(const GradientMemory<T>& memory, std::int64_t at, const Tile<V, count>& value) {
  using Values = Tile<V, count>;
  if (memory.accumulate == Accumulate::no) return value.to(memory.data + at);
  const Values before = Values::from(memory.data + at);
  Values::of([&](int i) { return before.v[i] + value.v[i]; }).to(memory.data + at);
}

template <class T, ReluMask mask>
KAGAMI_INLINE void gradient_as(const BatchNormPiece<T>& piece, const BatchNormCoefficients<T>& k,
                               const GradientMemory<T>& dx, const GradientMemory<T>& dresidual) {
  const std::int64_t channels = piece.channels;
  for_cached_tiles<T>(piece.rows, piece.channels,
                      [&]<class V, int count, int unroll>(std::int64_t row, std::int64_t rows, int c) {
                        using Values = Tile<V, count>;
                        const Values mean = Values::from(piece.mean + c), scale = Values::from(piece.scale + c);
                        const Values shift = Values::from(piece.shift + c), a = Values::from(k.a + c);
                        const Values b = Values::from(k.b + c), constant = Values::from(k.c + c);
                        const Values rest = Values::from(k.rest + c);
                        for (std::int64_t at = row * channels + c, r = 0; r < rows; ++r, at += channels) {
                          const Values x = Values::from(piece.x + at);
                          const Values g = masked<mask>(piece, at, x, scale, shift);
                          if (dresidual.data) write(dresidual, at, g);
                          if (!dx.data) continue;
                          write(dx, at, Values::of([&](int i) {
                                  return a.v[i] * g.v[i] + (b.v[i] * (x.v[i] - mean.v[i]) + rest.v[i] + constant.v[i]);
                                }));
                        }
                      });
}

template <class T>
void gradient(const BatchNormPiece<T>& piece, ReluMask mask, const BatchNormCoefficients<T>& k, GradientMemory<T> dx,
              GradientMemory<T> dresidual) {
  switch (mask) {
    case ReluMask::none:
      return gradient_as<T, ReluMask::none>(piece, k, dx, dresidual);
    case ReluMask::from_output:
      return gradient_as<T, ReluMask::from_output>(piece, k, dx, dresidual);
    case ReluMask::from_input:
      return gradient_as<T, ReluMask::from_input>(piece, k, dx, dresidual);
  }
}

}  // namespace

const BatchNormKernels<float> batch_norm_float{moments<float>, apply<float>, reduce<float>, gradient<float>};
const BatchNormKernels<double> batch_norm_double{moments<double>, apply<double>, reduce<double>, gradient<double>};

}  // namespace kagami::cpu::KAGAMI_ISA
