#pragma once
// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011): random numbers as
// a function of a key and a counter. The key says who draws (seed, purpose), the counter what for (draw, view, sample,
// epoch), so a number never depends on the order of a batch, the number of threads or the device.
#include <cmath>
#include <cstdint>

#include "kernels/types.h"

namespace kagami {

/// What random numbers are for. The values are part of what a seed means: add new ones at the end.
enum class Purpose : std::uint32_t {
  initialization = 1,
  shuffle = 2,
  augmentation = 3,
  dropout = 4,
  split = 5,
  procedural_data = 6,
  evaluation = 7,
  method = 8,
  test = 9,
};

using PhiloxWords = Vec<std::uint32_t, 4>;
using PhiloxKey = Vec<std::uint32_t, 2>;

/// The block function: four random words of `counter` under `key`.
KAGAMI_HD inline PhiloxWords philox4x32(PhiloxWords counter, PhiloxKey key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53U} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57U} * counter[2];
    counter = {{static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
                static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)}};
    key = {{key[0] + 0x9E3779B9U, key[1] + 0xBB67AE85U}};
  }
  return counter;
}

/// [0, 1) on the grid of 2^-24.
KAGAMI_HD inline float unit_float(std::uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24F; }
/// [0, 1) on the grid of 2^-53.
KAGAMI_HD inline double unit_double(std::uint64_t word) { return static_cast<double>(word >> 11) * 0x1p-53; }

/// {0, ..., count-1} from 64 random bits; a value's probability is off by less than 2^-32 of itself. count > 0.
KAGAMI_HD inline std::uint32_t bounded(std::uint64_t word, std::uint32_t count) {
  const std::uint64_t low = (word & 0xFFFFFFFFU) * count, high = (word >> 32) * count;
  return static_cast<std::uint32_t>((high + (low >> 32)) >> 32);
}

/// A stream of random numbers: blocks of draws 0, 1, 2, ... of one (seed, purpose, view, sample, epoch).
/// block(draw) reads any block without moving the stream: what elementwise code uses.
class Philox {
 public:
  /// For seeds below 2^32 the key is exactly (seed, purpose); larger ones (up to 2^56) are told apart in the second
  /// word.
  KAGAMI_HD Philox(std::uint64_t seed, Purpose purpose, std::uint32_t view, std::uint32_t sample, std::uint32_t epoch)
      : key_{{static_cast<std::uint32_t>(seed),
              static_cast<std::uint32_t>(purpose) + (static_cast<std::uint32_t>(seed >> 32) << 8)}},
        view_(view),
        sample_(sample),
        epoch_(epoch) {}
  /// What is random per step (or per epoch, per parameter, ...): counter (draw, 0, 0, step).
  KAGAMI_HD static Philox per_step(std::uint64_t seed, Purpose purpose, std::uint32_t step) {
    return {seed, purpose, 0, 0, step};
  }

  /// The stream of the same key, view and sample in another epoch, from its beginning.
  KAGAMI_HD Philox at(std::uint32_t epoch) const {
    Philox other(0, Purpose::test, view_, sample_, epoch);
    other.key_ = key_;
    return other;
  }

  KAGAMI_HD PhiloxWords block(std::uint32_t draw) const { return philox4x32({{draw, view_, sample_, epoch_}}, key_); }

  KAGAMI_HD std::uint32_t next() {
    if (used_ == 4) {
      words_ = block(draw_++);
      used_ = 0;
    }
    return words_[used_++];
  }
  KAGAMI_HD std::uint64_t next64() {
    const std::uint64_t high = next();
    return high << 32 | next();
  }
  /// [0, 1), 24 bits (float) or 53 bits (double).
  template <class T>
  KAGAMI_HD T uniform() {
    if constexpr (sizeof(T) == sizeof(float))
      return unit_float(next());
    else
      return unit_double(next64());
  }
  template <class T>
  KAGAMI_HD T uniform(T low, T high) {
    return low + (high - low) * uniform<T>();
  }
  /// {0, ..., count-1}, count > 0.
  KAGAMI_HD std::uint32_t below(std::uint32_t count) { return bounded(next64(), count); }
  /// Standard normal (Box and Muller 1958); values come in pairs, the second is kept for the next call.
  template <class T>
  KAGAMI_HD T normal() {
    if (has_spare_) {
      has_spare_ = false;
      return static_cast<T>(spare_);
    }
    const T radius = std::sqrt(T(-2) * std::log(T(1) - uniform<T>()));
    const T angle = T(6.283185307179586) * uniform<T>();
    spare_ = radius * std::sin(angle);
    has_spare_ = true;
    return radius * std::cos(angle);
  }

 private:
  PhiloxKey key_;
  std::uint32_t view_, sample_, epoch_, draw_ = 0;
  PhiloxWords words_{};
  int used_ = 4;
  bool has_spare_ = false;
  double spare_ = 0;
};

/// Writes a random order of 0 ... count-1 (Fisher-Yates, 64 random bits an exchange). count < 2^32.
template <class Index>
void permutation(Philox random, Index* order, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) order[i] = static_cast<Index>(i);
  for (std::int64_t i = count - 1; i > 0; --i) {
    const std::int64_t j = random.below(static_cast<std::uint32_t>(i + 1));
    const Index kept = order[i];
    order[i] = order[j];
    order[j] = kept;
  }
}

}  // namespace kagami
