#pragma once
// Optimizer updates over flat parameter memory: one pass that reads gradients and writes parameters and state. Learning
// rates and momentum come from StepScalars in device memory. Sums run in an order that depends on sizes only. What else
// is written of a parameter is written in the same pass: `copy`, unless null, is flat like p and takes it rounded; an
// EMA target follows it, for 8 bytes a parameter where a pass of its own would move 12.
#include <cstdint>

#include "kernels/launch.h"
#include "kernels/step_scalars.h"
#include "kernels/types.h"

namespace kagami {

/// A range of the flat buffers that is updated alike.
struct UpdateRange {
  std::int64_t offset, count;
  int group;    ///< whose learning rate applies
  bool decay;   ///< whether weight decay applies
  bool scaled;  ///< LARS: whether the trust ratio applies; then the range is one whole parameter
};

/// What follows the first `count` elements of flat parameters p: values = tau values + (1 - tau) p, tau being
/// scalars->ema_tau. Flat like p; `copy`, unless null, takes the values rounded.
template <class T>
struct EmaTarget {
  T* values = nullptr;
  std::int64_t count = 0;
  bf16* copy = nullptr;
};

struct SgdSettings {
  double weight_decay = 0;
  bool nesterov = false;
};

/// g += decay p; v = momentum v + g; p -= lr v (Nesterov: p -= lr (g + momentum v)). p, g, v: flat.
template <class T>
void sgd_update(Cpu device, const UpdateRange* ranges, int range_count, const StepScalars* scalars,
                const SgdSettings& settings, T* p, const T* g, T* v, bf16* copy = nullptr,
                const EmaTarget<T>& target = {});

struct LarsSettings {
  double weight_decay = 0, trust = 1e-3;
  bool joint_norm = true;       ///< trust |p| / |g + decay p|; otherwise trust |p| / (|g| + decay |p| + 1e-8)
  bool clip = false;            ///< ratio = min(ratio / lr, 1)
  bool lr_in_momentum = false;  ///< v = m v + lr ratio (g + decay p), p -= v; otherwise the rate is applied to v
};

/// You et al. 2017. Ranges that are not `scaled` have ratio 1 and no decay. Where a norm is zero the ratio is 1, and
/// with separate norms there is no decay either.
template <class T>
void lars_update(Cpu device, const UpdateRange* ranges, int range_count, const StepScalars* scalars,
                 const LarsSettings& settings, T* p, const T* g, T* v, bf16* copy = nullptr,
                 const EmaTarget<T>& target = {});

struct AdamWSettings {
  double weight_decay = 0, beta2 = 0.999, epsilon = 1e-8;
};

/// Loshchilov and Hutter 2019: p *= 1 - lr decay; then Adam, bias-corrected for update number step + 1. m, v: flat
/// moments.
template <class T>
void adamw_update(Cpu device, const UpdateRange* ranges, int range_count, const StepScalars* scalars,
                  const AdamWSettings& settings, T* p, const T* g, T* m, T* v, bf16* copy = nullptr,
                  const EmaTarget<T>& target = {});

/// The target alone, of parameters that are not updated.
template <class T>
void ema_update(Cpu device, const StepScalars* scalars, const T* p, const EmaTarget<T>& target);

#if KAGAMI_HAS_CUDA
/// CUDA: float; the ranges are in the host's memory, everything else in the device's.
template <class T>
void sgd_update(Cuda device, const UpdateRange* ranges, int range_count, const StepScalars* scalars,
                const SgdSettings& settings, T* p, const T* g, T* v, bf16* copy = nullptr,
                const EmaTarget<T>& target = {});
template <class T>
void lars_update(Cuda device, const UpdateRange* ranges, int range_count, const StepScalars* scalars,
                 const LarsSettings& settings, T* p, const T* g, T* v, bf16* copy = nullptr,
                 const EmaTarget<T>& target = {});
template <class T>
void adamw_update(Cuda device, const UpdateRange* ranges, int range_count, const StepScalars* scalars,
                  const AdamWSettings& settings, T* p, const T* g, T* m, T* v, bf16* copy = nullptr,
                  const EmaTarget<T>& target = {});
template <class T>
void ema_update(Cuda device, const StepScalars* scalars, const T* p, const EmaTarget<T>& target);
#endif

}  // namespace kagami
