#pragma once
// The parameters of a network in one flat buffer, their gradients in another, its buffers (running statistics, queues)
// in a third: an optimizer step, an EMA, a copy or a checkpoint is one pass over flat memory.
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "engine/init.h"
#include "engine/precision.h"
#include "engine/weight.h"

namespace kagami {

enum class LrSchedule : std::uint8_t { main, constant };

/// What the optimizer does with a set of parameters.
struct ParamGroup {
  std::string name = "main";
  bool trained = true;  ///< false: no gradients, never updated
  double lr_factor = 1;
  LrSchedule schedule = LrSchedule::main;
  bool weight_decay = true;
  bool lars = true;  ///< whether LARS scales these by its trust ratio
};

/// A range of a flat buffer.
struct Segment {
  std::string name;
  Shape shape;
  std::int64_t offset = 0;  ///< elements from the start of the flat buffer
  int group = 0;
  Init init;
  std::int64_t size() const { return shape.numel(); }
};

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

/// How names in a state dict become names of parameters.
struct LoadOptions {
  std::vector<std::string> strip_prefixes = {};  ///< removed where a name begins with one, as often as it does
  std::string add_prefix = {};                   ///< put before what is left
};

struct LoadReport {
  std::vector<std::string> missing;     ///< ours, not in the state dict
  std::vector<std::string> unexpected;  ///< in the state dict, not ours
  /// Throws InputError listing them unless there are none; `source` is where the state dict came from.
  void require_complete(std::string_view source) const;
};

/// First declare(), in the order encoder, projector, then what an EMA target lacks (predictor, heads); then allocate()
/// once, which fills every handle that was given out. Weights of rank 4 are convolution kernels: [k,r,s,c] in memory,
/// [k,c,r,s] (torchvision's layout) in a state dict.
class Params {
 public:
  Params() : groups_(1) {}
  Params(const Params&) = delete;  // networks hold references to the handles inside
  Params& operator=(const Params&) = delete;

  /// Group 0 is "main"; returns the number of the new one.
  int add_group(ParamGroup group);
  ParamGroup& group(int number);
  const std::vector<ParamGroup>& groups() const { return groups_; }

  /// A matrix or convolution kernel: what ops take as a Weight. The reference stays valid; it is empty until
  /// allocate().
  Weight& weight(const std::string& name, const Shape& shape, const Init& init, int group = 0);
  /// A parameter that is always used in full precision: a bias, a batch norm's gamma and beta.
  Tensor& parameter(const std::string& name, const Shape& shape, const Init& init, int group = 0);
  /// Not a parameter, but part of the state: running statistics, a queue.
  Tensor& buffer(const std::string& name, const Shape& shape, const Init& init);

  /// Lays out the flat buffers and initialises them. Master values are f32 or f64; compute copies may be bf16 on CUDA.
  void allocate(Device device, const Precision& precision, std::uint64_t seed);
  bool allocated() const { return static_cast<bool>(values_); }

  const Tensor& values() const { return values_; }        ///< every parameter, flat; gaps between segments are zero
  const Tensor& copies() const { return copies_; }        ///< values() as products read them; empty where it is they
  const Tensor& gradients() const { return gradients_; }  ///< the same layout; empty where nothing is trained
  const Tensor& buffers() const { return buffers_; }
  const std::vector<Segment>& segments() const { return segments_; }
  const std::vector<Segment>& buffer_segments() const { return buffer_segments_; }
  std::int64_t parameter_count() const;             ///< without the gaps
  const Tensor& find(std::string_view name) const;  ///< a parameter or buffer; throws where there is none

  void zero_grad() const;
  /// Brings the compute copies up to date after a host write; nothing to do where compute is the master. A product with
  /// a copy that is out of date throws.
  void refresh() const;
  /// Says that a kernel wrote values() and copies() alike.
  void mark_updated() const;

  /// Copies on the CPU of all parameters and buffers, torchvision's layouts, in order of declaration.
  std::vector<NamedTensor> state_dict() const;
  /// Overwrites what the state dict has (any float type); throws where a shape differs. torchvision's counters
  /// `num_batches_tracked` are passed over.
  LoadReport load_state_dict(const std::vector<NamedTensor>& state, const LoadOptions& options = {});

 private:
  int declare(const std::string& name, const Shape& shape, const Init& init, int group);
  std::vector<ParamGroup> groups_;
  std::vector<Segment> segments_, buffer_segments_;
  std::deque<Weight> handles_;  // one per segment
  std::deque<Tensor> buffer_handles_;
  Tensor values_, copies_, gradients_, buffers_;
};

/// The number of leading elements of `whole` that `part` mirrors: all of part's segments must open whole's, with the
/// same names and shapes. Throws where they do not.
std::int64_t shared_prefix(const Params& part, const Params& whole);
/// Copies parameters and buffers of `from`'s prefix into `to`, an EMA target that is about to start.
void copy_prefix(const Params& from, const Params& to);

}  // namespace kagami
