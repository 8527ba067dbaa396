#pragma once
// Indices that lie in a device's memory are checked there: the host would have to wait for the device to look at them.
#include <cstdint>

#include "kernels/launch.h"

namespace kagami {

/// The first index that was found outside its range (position -1: that there was none within it). In memory that host
/// and device reach; site 0: none yet.
struct IndexFault {
  std::uint32_t site;  ///< where indices were checked: a number of the host's choice
  std::int32_t value;
  std::int64_t position;
};

/// What an index may be: in [0, extent), or, where the rule ignores one number, that.
struct IndexRule {
  std::int64_t extent = 0;
  bool ignores = false;
  std::int32_t ignored = 0;
  std::int32_t substitute = 0;  ///< stands for what is ignored or outside
};

#if KAGAMI_HAS_CUDA
/// kept[i] = indices[i] where that is within the range, else the substitute; one that is not ignored either goes to
/// `fault`. Adds the number of indices within the range to `*valid` unless that is null.
void check_indices(Cuda device, const IndexRule& rule, std::uint32_t site, std::int64_t count,
                   const std::int32_t* indices, std::int32_t* kept, std::int32_t* valid, IndexFault* fault);
/// Notes at `fault` that *valid is 0, if it is.
void require_valid(Cuda device, std::uint32_t site, const std::int32_t* valid, IndexFault* fault);
#endif

}  // namespace kagami
