// kagami pretrain: learn features from unlabelled images.
#include <atomic>
#include <cmath>
#include <cstdio>
#include <functional>
#include <iostream>
#include <optional>

#include "apps/commands.h"
#include "apps/pretrain_options.h"
#include "apps/support/build_info.h"
#include "apps/support/interruption.h"
#include "apps/support/json_log.h"
#include "apps/support/progress.h"
#include "apps/support/run_folder.h"
#include "apps/support/text.h"
#include "engine/checkpoint.h"
#include "engine/error.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/parallel.h"
#include "kernels/matmul_library.h"
#include "ssl/pretrain.h"

namespace kagami::apps {
namespace fs = std::filesystem;

namespace {

/// What a resumed run may change: where the images lie, what it is computed with, what it tells.
constexpr const char* free_on_resume[] = {"data",        "threads",     "cpu",          "conv",
                                          "device",      "matmul",      "precision",    "device-data-limit",
                                          "record-step", "log-every",   "knn-every",    "knn-bank",
                                          "knn-queries", "probe-every", "probe-images", "checkpoint-every"};

struct Call {
  PretrainOptions run;
  std::string out;
  bool resume = false, overwrite = false, previous_checkpoint = false;
};

void declare(Options& options, Call& call) {
  options.example("pretrain --data procedural --recipe apps/recipes/simclr-demo.ini --out runs/first",
                  "two minutes on the built-in images, no files needed");
  options.example("pretrain --data photos/ --stem imagenet --augmentation simclr --batch 128 --out runs/photos",
                  "a folder of JPEG and PNG images, in views of 224x224 (fewer with --size); labels are not needed");
  options.example("pretrain --resume --out runs/photos", "goes on where Ctrl-C or a crash stopped it");
  options.example("pretrain --recipe runs/photos/config.ini --seed 2 --out runs/photos-2",
                  "repeats a run with another seed: every option is in its config.ini");
  options.group("Run");
  options
      .add("out", call.out, "RUN", "folder of the run: config.ini, log.jsonl, checkpoints. A run that is there is kept")
      .transient()
      .once();
  options.add("resume", call.resume, "go on from the folder's checkpoint, with the options in its config.ini")
      .transient();
  options.add("previous-checkpoint", call.previous_checkpoint, "with --resume: take the checkpoint before the last")
      .transient();
  options.add("overwrite", call.overwrite, "remove the run that is in the folder").transient();
  options.accept_recipe();
  call.run.declare(options);
}

/// RUN/config.ini: a recipe that repeats the run.
std::string config_text(const Options& options, const PretrainOptions& run) {
  return text("# Kagami ", version(), ", commit ", commit(), ", ", compiler(), "\n# ", kagami::cpu::processor_name(),
              ", ", cpu::name_of(cpu::isa()), " kernels, ", cpu::threads(),
              " threads\n# learning rate: ", describe_lr(run.config), "\n", options.as_recipe());
}

/// Says so where matrix products are not our own.
std::string products_text() {
  const std::string name = matmul_name();
  return name == "own" ? "" : text(", matrix products by ", name);
}

/// Writes the log, shows the progress. The folder is written to once the first batch has been tried: until then a
/// failure leaves what is in it.
class Reporter : public PretrainObserver {
 public:
  /// `begin` makes the folder ready for the log.
  Reporter(const fs::path& log, std::string folder, std::function<void()> begin)
      : file_(log), folder_(std::move(folder)), begin_(std::move(begin)) {}

  void on_plan(const PretrainPlan& plan) override {
    begin_();
    log_.emplace(file_);
    line_.say(text(plan.parameters, " parameters, learning rate ", number_text(plan.lr), ", ", plan.steps_per_epoch,
                   " steps an epoch, ", plan.steps, " in all"));
    line_.say(text("Predicted: ", duration_text(plan.seconds), " without kNN (", fixed_text(plan.seconds_per_step, 3),
                   " s a step), ", bytes_text(static_cast<double>(plan.memory_bytes)), " of memory"));
  }

  void on_step(const StepReport& report) override {
    step_ = report.progress.step;
    log_->write(JsonLine()
                    .add("step", report.progress.step)
                    .add("epoch", static_cast<double>(report.progress.step) /
                                      static_cast<double>(report.progress.steps_per_epoch))
                    .add("loss", report.loss)
                    .add("lr", report.lr)
                    .add("images_per_second", std::round(report.images_per_second * 10) / 10)
                    .add("contrastive_accuracy", report.contrastive_accuracy)
                    .add("std_sqrt_d", report.std_sqrt_d)
                    .add("m_o", report.m_o)
                    .add("m_r", report.m_r));
    // The step that ends an epoch already counts as the next one's beginning.
    const std::int64_t epoch = (report.progress.step - 1) / report.progress.steps_per_epoch + 1;
    shown_.epoch = static_cast<int>(epoch);
    shown_.epochs = static_cast<int>(report.progress.epochs);
    shown_.step = report.progress.step;
    shown_.steps = report.progress.steps;
    shown_.loss = report.loss;
    shown_.images_per_second = report.images_per_second;
    shown_.contrastive_accuracy = report.contrastive_accuracy;
    shown_.std_sqrt_d = report.std_sqrt_d;
    shown_.mean_norm = report.m_o;
    shown_.seconds_left = report.seconds_left;
    // Elsewhere than on a terminal the end of an epoch has its own line, with what was measured there.
    const bool ends_epoch = report.progress.epoch_step == report.progress.steps_per_epoch;
    if (!ends_epoch || line_.terminal()) line_.show(shown_);
  }

  void on_probe(const CollapseReport& report) override {
    const std::string verdict = name_of(report.verdict);
    log_->write(JsonLine()
                    .add("step", report.step)
                    .add("verdict", verdict)
                    .add("probe_images", report.images)
                    .add("probe_m_o", report.m_o)
                    .add("probe_m_r", report.m_r)
                    .add("probe_std_sqrt_d", report.std_sqrt_d)
                    .add("probe_covariance", report.covariance)
                    .add("probe_rank", report.rank)
                    .add("probe_alignment", report.alignment)
                    .add("probe_uniformity", report.uniformity)
                    .add("probe_seconds", std::round(report.seconds * 1000) / 1000));
    const std::string why = explanation(report.verdict);
    if (!why.empty() && verdict != shown_.verdict)
      line_.say(text("step ", report.step, ": ", verdict, ": ", why, " (m_o ", fixed_text(report.m_o, 2), ", rank ",
                     fixed_text(report.rank, 1), " of ", report.dim, ")"));
    shown_.verdict = report.step == 0 || report.verdict == Verdict::too_early ? "" : verdict;
  }

  void on_epoch(const EpochReport& report) override {
    JsonLine line;
    line.add("step", step_).add("epoch", report.epoch + 1).add("mean_loss", report.mean_loss);
    line.add("seconds", std::round(report.seconds * 1000) / 1000);
    if (report.knn) {
      shown_.knn = *report.knn;
      line.add("knn", *report.knn).add("knn_seconds", std::round(report.knn_seconds * 1000) / 1000);
    }
    log_->write(line);
    line_.show(shown_, report.knn.has_value() || report.epoch + 1 == shown_.epochs);
  }

  void on_checkpoint(const fs::path&, const Progress& progress) override { saved_step_ = progress.step; }
  void on_note(const std::string& note) override { line_.say(note); }

  void say(const std::string& line) { line_.say(line); }
  /// What a failure leaves: a sentence for its message.
  std::string what_is_safe() const {
    if (saved_step_ < 0) return "no checkpoint was written yet";
    return text("the checkpoint of step ", saved_step_, " in ", folder_, " is whole: 'kagami pretrain --resume --out ",
                folder_, "' goes on from it");
  }
  void resumed_at(std::int64_t step) { saved_step_ = step_ = step; }

 private:
  fs::path file_;
  std::optional<JsonLog> log_;
  std::string folder_;
  std::function<void()> begin_;
  ProgressLine line_;
  ProgressValues shown_;
  std::int64_t step_ = 0, saved_step_ = -1;
};

/// On --resume the options come from config.ini; what decides the numbers cannot be changed.
void take_saved_options(Options& options, const Call& call) {
  const fs::path config = fs::path(call.out) / "config.ini";
  check(RunFolder::holds_run(call.out), "--resume: ", call.out, " holds no run; start one without --resume");
  options.read_file(config);
}

void refuse_changed_options(const Options& options, const Call& call) {
  for (const std::string& name : options.changed_from(fs::path(call.out) / "config.ini")) {
    const bool free = std::find(std::begin(free_on_resume), std::end(free_on_resume), name) != std::end(free_on_resume);
    check(free, "--", name, ": a resumed run keeps its options, and ", call.out,
          "/config.ini has another value; leave it out, or start a new run");
  }
}

int train(const Call& call, const Dataset& data, const std::string& config, RunFolder& folder) {
  const Device device = call.run.device.device();
  const Precision precision = call.run.device.precision_on(device);
  Pretraining pretraining(call.run.config, data, device, config, precision);
  // Killed before its first checkpoint, a run begins again.
  const bool saved = has_checkpoint(folder.path());
  if (call.resume && saved) pretraining.resume(folder.path(), call.previous_checkpoint);
  const std::int64_t start = pretraining.progress().step;
  Reporter reporter(folder.log(), call.out, [&] {
    if (!call.resume) folder.begin(config);
    cut_log_back(folder.log(), call.resume && saved ? start : -1);
  });
  if (call.resume && saved) reporter.resumed_at(start);
  if (!device.is_cpu())
    reporter.say(text("Computes on ", device, " in ", precision, products_text(),
                      device.emulated() ? "; it is emulated on the CPU, for tests" : ""));
  if (call.resume) reporter.say(text("Goes on after step ", start, " of ", pretraining.progress().steps));
  const std::atomic<bool>& stop = watch_for_interruption();
  PretrainOutcome outcome;
  try {
    outcome = pretraining.run(folder.path(), reporter, stop);
  } catch (const std::exception& error) {
    const bool nothing_done = !call.resume && pretraining.progress().step == 0;
    if (nothing_done) folder.withdraw();  // so that the next try finds the folder as this one did
    if (nothing_done || dynamic_cast<const InputError*>(&error)) throw;
    throw std::runtime_error(text(error.what(), "; ", reporter.what_is_safe()));
  }
  if (outcome == PretrainOutcome::stopped) {
    reporter.say(text("Stopped after step ", pretraining.progress().step,
                      ", saved. Go on with: kagami pretrain --resume --out ", call.out));
    return 128 + interruption();
  }
  const bool measurable = data.train.labelled() && data.test.size() > 0;
  reporter.say(text("Done: ", call.out, ". Next: kagami ", measurable ? "evaluate" : "embed", " --run ", call.out,
                    measurable ? "" : " --out features.npy"));
  return 0;
}

}  // namespace

int pretrain(const Arguments& arguments) {
  Call call;
  Options options(
      "pretrain", "pretrain --data PATH --out RUN [options]",
      "Learns features from images without labels. Each image is augmented twice, and a network learns to "
      "tell which two views belong together. Watch m_o (should stay near 0) and std·√d (near 1): they show a "
      "collapse long before the loss does. Where labels exist, kNN accuracy is measured as it goes; labels are "
      "never trained on. Ctrl-C finishes the step, saves and exits with 130; --resume goes on, to bitwise the same "
      "weights.");
  declare(options, call);
  if (!options.parse(arguments, std::cout)) return 0;
  check(!call.out.empty(), "--out is missing: give the folder for the run");
  check(!call.resume || !call.overwrite, "--resume and --overwrite exclude each other: go on, or start anew");
  check(call.resume || !call.previous_checkpoint, "--previous-checkpoint goes with --resume");
  if (call.resume) take_saved_options(options, call);
  call.run.resolve(options);
  if (call.resume) refuse_changed_options(options, call);
  call.run.source.name_absolutely();
  call.run.compute.apply();
  RunFolder folder(call.out, call.resume ? RunStart::resume : call.overwrite ? RunStart::overwrite : RunStart::fresh);
  const Dataset data = call.run.source.open();
  return train(call, data, call.resume ? read_whole_file(folder.config()) : config_text(options, call.run), folder);
}

}  // namespace kagami::apps
