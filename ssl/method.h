#pragma once
// A self-supervised method: from views of images to a loss. One file each in ssl/methods/, which registers it by name.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/params.h"
#include "ssl/config.h"

namespace kagami {

/// Views of one size are one [V*N, h, w, 3] tensor; images[v] are its rows [v*N, (v+1)*N).
struct Views {
  Tensor all;
  std::vector<Tensor> images;
  Tensor sample_ids;  ///< [N] i32: numbers of the images in the data set
  Tensor labels;      ///< [N] i32, empty for unlabelled data
};
/// Cuts [count*N, ...] into its views.
Views views_of(const Tensor& all, int count);

/// Where a run is: `step` counts updates made, `epoch` and `epoch_step` say which batch comes next.
struct Progress {
  std::int64_t step = 0, steps = 0;  ///< steps: of the whole run
  std::int64_t epoch = 0, epochs = 0;
  std::int64_t epoch_step = 0, steps_per_epoch = 0;
};

class Method {
 public:
  virtual ~Method() = default;
  virtual Tensor loss(const Views& views) = 0;              ///< a scalar in the graph; batch norm in train mode
  virtual void after_step() {}                              ///< EMA target, queue
  virtual int program(const Progress&) const { return 0; }  ///< which of its step programs runs next
  virtual void between_steps(const Progress&) {}            ///< host work
  virtual Params& params() = 0;
  /// The vectors that enter the similarity, [V*N, dim], of the last loss(): what collapse metrics look at.
  virtual Tensor compared() const = 0;
  /// Share of the last loss()'s views more similar to their positive than to all else; empty where it does not apply.
  virtual Tensor contrastive_accuracy() const { return {}; }
  /// What steps change beside params() (a target network, a queue), sharing memory: checkpoints read and write it.
  virtual std::vector<NamedTensor> state() const { return {}; }
  virtual Tensor encode(const Tensor& images) const = 0;  ///< h = f(x), [N, features] f32, eval mode, no graph
  virtual Tensor project(const Tensor& h) const = 0;      ///< g(h), eval mode, no graph
};

/// A method that compares the vectors of a whole batch with each other: loss(views) = loss_of(embed(views)).
class ContrastiveMethod : public Method {
 public:
  enum class RunningStatistics { move, stay };

  Tensor loss(const Views& views) final { return loss_of(embed(views, RunningStatistics::move)); }
  /// [V*N, dim] in the graph, batch norm in train mode; `running` says whether its running statistics move.
  virtual Tensor embed(const Views& views, RunningStatistics running) = 0;
  virtual Tensor loss_of(const Tensor& z) = 0;  ///< a scalar in the graph; what compared() then gives is z
};

struct MethodInfo {
  std::string name;
  std::string summary;                            ///< one line: what it is, which paper
  std::function<void(PretrainConfig&)> defaults;  ///< writes its recipe
  std::function<std::unique_ptr<Method>(const PretrainConfig&, Device, const Precision&)> make;
};

/// Throws InputError that suggests the nearest name when there is no such method.
const MethodInfo& method_info(std::string_view name);
std::vector<std::string> method_names();  ///< sorted

/// `const RegisterMethod registered({...});` at namespace scope makes a method known.
struct RegisterMethod {
  explicit RegisterMethod(MethodInfo info);
};

}  // namespace kagami
