#pragma once
// The pretraining loop: data -> two augmented views -> loss -> backward -> optimizer -> metrics. It prints nothing; an
// observer hears what happens. A run is a function of (config, data): stopped and resumed anywhere, it ends with the
// same bits.
#include <atomic>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "engine/data/image_set.h"
#include "ssl/collapse.h"
#include "ssl/config.h"
#include "ssl/method.h"

namespace kagami {

/// Known before the first step.
struct PretrainPlan {
  std::int64_t images = 0, dropped_images = 0;  ///< dropped: the last incomplete batch of every epoch
  std::int64_t steps_per_epoch = 0, steps = 0;  ///< steps: of the whole run
  std::int64_t parameters = 0;
  double lr = 0;                 ///< scaled
  double seconds_per_step = 0;   ///< timed on the first batch, whose effects are undone, until two times agree
  double seconds = 0;            ///< of the steps that are left, without kNN
  std::size_t memory_bytes = 0;  ///< peak of a step or probe: parameters, optimizer, activations, views
};

/// Measured every config.log_every steps and at the last step of an epoch. NaN: does not apply.
struct StepReport {
  Progress progress;  ///< after the step
  double loss = 0;
  double lr = 0;                 ///< that the step used
  double images_per_second = 0;  ///< since the last report
  double seconds_left = 0;
  double contrastive_accuracy = 0;  ///< share of views whose nearest other view is their positive
  double std_sqrt_d = 0;            ///< mean per-dimension standard deviation of unit vectors, times sqrt(d)
  double m_o = 0, m_r = 0;          ///< length of their mean; mean length of what is left without it
};

struct EpochReport {
  std::int64_t epoch = 0;  ///< the epoch that ended, from 0
  double mean_loss = 0;
  double seconds = 0;         ///< of its training, without kNN
  std::optional<double> knn;  ///< accuracy in [0, 1] on the test split, where labels exist and it was due
  double knn_seconds = 0;
};

/// Hears what happens; every function may be left out.
class PretrainObserver {
 public:
  virtual ~PretrainObserver() = default;
  virtual void on_plan(const PretrainPlan&) {}
  virtual void on_step(const StepReport&) {}
  virtual void on_probe(const CollapseReport&) {}  ///< of a step and before on_epoch of its epoch
  virtual void on_epoch(const EpochReport&) {}
  virtual void on_checkpoint(const std::filesystem::path&, const Progress&) {}
  virtual void on_note(const std::string&) {}  ///< one line a user should read
};

enum class PretrainOutcome { finished, stopped };

class Pretraining {
 public:
  /// Builds the network and its first state. `config_text` is stored in checkpoints, for whoever reads them. Throws
  /// InputError where config and data do not fit. Keeps a reference to `data`.
  Pretraining(const PretrainConfig& config, const Dataset& data, Device device, std::string config_text = "",
              const Precision& precision = DType::f32);
  ~Pretraining();

  /// Goes on from `folder`'s checkpoint. A damaged one is refused with its name and reason; the message offers the
  /// previous one, which `use_previous` takes.
  void resume(const std::filesystem::path& folder, bool use_previous = false);

  /// Runs what is left, with checkpoints in `folder` (empty: none): every config.checkpoint_every epochs, at the end,
  /// and when `stop` becomes true, which is looked at after every step.
  PretrainOutcome run(const std::filesystem::path& folder, PretrainObserver& observer, const std::atomic<bool>& stop);

  const Progress& progress() const;
  Method& method();
  /// The optimizer's and the method's state, sharing memory: what a checkpoint holds beside the network.
  std::vector<NamedTensor> state() const;
  /// kNN accuracy now, in [0, 1]; empty where the data has no labels or no test split.
  std::optional<double> knn_accuracy() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kagami
