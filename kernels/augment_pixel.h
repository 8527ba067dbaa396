#pragma once
// The arithmetic of the augmentation on one pixel, written once: T is float, or a vector of floats on the CPU. Selects
// are written as `condition ? a : b`, which means the same for both.
#include "kernels/types.h"

// Always inlined, so that code compiled for one instruction set never stands in for another's at link time.
#define KAGAMI_PIXEL KAGAMI_HD inline __attribute__((always_inline))

namespace kagami::pixel {

template <class T>
struct Rgb {
  T r, g, b;
};

template <class T>
KAGAMI_PIXEL T smaller(T x, T y) {
  return x < y ? x : y;
}
template <class T>
KAGAMI_PIXEL T larger(T x, T y) {
  return x > y ? x : y;
}
template <class T>
KAGAMI_PIXEL T magnitude(T x) {
  return larger(x, -x);
}
template <class T>
KAGAMI_PIXEL T constant(float x) {
  return T{} + x;
}
template <class T>
KAGAMI_PIXEL T clamped(T x) {
  return smaller(larger(x, T{}), constant<T>(1.0F));
}

/// torchvision's luma, that of ITU-R 601 with its rounding.
template <class T>
KAGAMI_PIXEL T luma(const Rgb<T>& x) {
  return 0.2989F * x.r + 0.587F * x.g + 0.114F * x.b;
}

/// factor * x + (1 - factor) * other, clamped: brightness (other = 0), contrast (the mean luma), saturation (the luma).
template <class T>
KAGAMI_PIXEL T blended(T x, T other, float factor) {
  return clamped(factor * x + (1.0F - factor) * other);
}

template <class T>
KAGAMI_PIXEL Rgb<T> brightness(const Rgb<T>& x, float factor) {
  return {clamped(factor * x.r), clamped(factor * x.g), clamped(factor * x.b)};
}

template <class T>
KAGAMI_PIXEL Rgb<T> toward(const Rgb<T>& x, T other, float factor) {
  return {blended(x.r, other, factor), blended(x.g, other, factor), blended(x.b, other, factor)};
}

/// Turns the hue by `turns` in [-1/2, 1/2] at equal value and chroma. HSV with the hue in sixths of a turn; the pure
/// hue's channels are trapezoids |h - 3| - 1, 2 - |h - 2|, 2 - |h - 4| clamped to [0, 1].
template <class T>
KAGAMI_PIXEL Rgb<T> hue(const Rgb<T>& x, float turns) {
  const T value = larger(larger(x.r, x.g), x.b), least = smaller(smaller(x.r, x.g), x.b);
  const T chroma = value - least;
  const auto red_is_largest = x.r == value;
  const auto green_is_largest = x.g == value;
  const T difference = red_is_largest ? x.g - x.b : (green_is_largest ? x.b - x.r : x.r - x.g);
  const T sector = red_is_largest ? T{} : (green_is_largest ? constant<T>(2.0F) : constant<T>(4.0F));
  const T divisor = chroma == T{} ? constant<T>(1.0F) : chroma;
  T h = difference / divisor + sector + 6.0F * turns;
  h = h < T{} ? h + 6.0F : h;
  h = h >= constant<T>(6.0F) ? h - 6.0F : h;
  return {least + chroma * clamped(magnitude(h - 3.0F) - 1.0F), least + chroma * clamped(2.0F - magnitude(h - 2.0F)),
          least + chroma * clamped(2.0F - magnitude(h - 4.0F))};
}

template <class T>
KAGAMI_PIXEL T solarized(T x, float threshold) {
  return x < constant<T>(threshold) ? x : 1.0F - x;
}

template <class T>
KAGAMI_PIXEL T normalized(T x, float mean, float inverse_std) {
  return (x - mean) * inverse_std;
}

}  // namespace kagami::pixel
