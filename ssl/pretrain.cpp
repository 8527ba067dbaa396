#include "ssl/pretrain.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <limits>

#include "engine/autograd.h"
#include "engine/checkpoint.h"
#include "engine/optimizer.h"
#include "engine/schedule.h"
#include "engine/step.h"
#include "ssl/collapse.h"
#include "ssl/feed.h"
#include "ssl/knn_monitor.h"
#include "ssl/metrics.h"
#include "ssl/micro_batch.h"

namespace kagami {
namespace {

constexpr double not_measured = std::numeric_limits<double>::quiet_NaN();
/// How far the host may be ahead of a CUDA device: as many losses are on their way back.
constexpr int steps_ahead = 3;
constexpr const char* checkpoint_format = "kagami checkpoint 1";

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  void restart() { start_ = Clock::now(); }
  void leave_out(double seconds) {
    start_ += std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

std::unique_ptr<Optimizer> make_optimizer(const PretrainConfig& config, Params& params) {
  if (config.optimizer == "lars")
    return make_lars(params, {.weight_decay = config.weight_decay,
                              .trust = config.trust,
                              .joint_norm = config.lars_norm == "joint",
                              .clip = config.lars_clip,
                              .lr_in_momentum = config.lars_lr_in_momentum});
  if (config.optimizer == "adamw")
    return make_adamw(params, {.weight_decay = config.weight_decay}, config.decay_vectors);
  return make_sgd(params, {.weight_decay = config.weight_decay, .nesterov = config.nesterov}, config.decay_vectors);
}

std::int64_t number_of(const Checkpoint& checkpoint, const std::string& key, const std::filesystem::path& file) {
  const auto found = checkpoint.metadata.find(key);
  check(found != checkpoint.metadata.end(), file.string(), ": holds no '", key, "', so it is no checkpoint of a run");
  return std::stoll(found->second);
}

/// A run goes on with the images it began with; checkpoints of before these were written down say nothing.
void check_images(const Checkpoint& checkpoint, const ImageSet& images, const std::filesystem::path& file) {
  const auto of_run = checkpoint.metadata.find("images");
  if (of_run == checkpoint.metadata.end()) return;
  const std::string found = images.fingerprint();
  check(of_run->second == found, file.string(), ": is of a run on other images (", of_run->second, ", and these are ",
        found, ": number and checksum of names, sizes and labels); give its own with --data, or start a new run");
}

}  // namespace

struct Pretraining::Impl {
  Impl(const PretrainConfig& c, const Dataset& d, Device where, std::string text_of_config, const Precision& precision)
      : config(c),
        data(d),
        device(where),
        config_text(std::move(text_of_config)),
        feed(d.train, c, where),
        method(method_info(c.method).make(c, where, precision)),
        optimizer(make_optimizer(c, method->params())),
        state(where),
        step(where, c.record_step),
        losses(where, steps_ahead + 1) {
    check(config.micro_batch == 0 || dynamic_cast<ContrastiveMethod*>(method.get()), "micro-batch: '", config.method,
          "' does not compare images of a batch with each other; a smaller --batch does the same");
    progress.epochs = config.epochs;
    progress.steps_per_epoch = feed.steps_per_epoch();
    progress.steps = progress.epochs * progress.steps_per_epoch;
    schedule = {.kind = schedule_kind(config.schedule),
                .steps = progress.steps,
                .steps_per_epoch = progress.steps_per_epoch,
                .warmup_steps = config.warmup_epochs * static_cast<double>(progress.steps_per_epoch)};
    if (config.probe_images > 0) probe.emplace(d.train, config);
    if (config.knn_every > 0 && KnnMonitor::obstacle(data).empty()) knn.emplace(data, config, device);
    step.add(0, [this] { train_step(); });
  }

  // One step.
  void forward_and_backward();
  void train_step();
  void prepare_scalars();

  /// Adds the losses of the last steps to the epoch's but for the last few, which may still be on their way.
  void take_losses(int left_over = 0);

  // The loop.
  double timed_step();
  void announce(const PretrainPlan& plan, PretrainObserver& observer) const;
  void advance(PretrainObserver& observer);
  PretrainPlan plan();
  void run_probe(PretrainObserver& observer);
  void end_epoch(PretrainObserver& observer, double seconds);
  StepReport report(double images_per_second, double seconds_left);
  void save(const std::filesystem::path& folder, PretrainObserver& observer);

  /// Everything that a step changes, sharing memory: what a checkpoint holds beside the network's state dict.
  std::vector<NamedTensor> state_tensors() const;
  std::optional<double> knn_accuracy() const {
    if (!knn) return std::nullopt;
    return knn->accuracy([this](const Tensor& images) { return method->encode(images); });
  }

  PretrainConfig config;
  const Dataset& data;
  Device device;
  std::string config_text;
  Feed feed;
  std::unique_ptr<Method> method;
  std::unique_ptr<Optimizer> optimizer;
  StepState state;
  Schedule schedule;
  CapturedStep step;
  Progress progress;
  std::optional<KnnMonitor> knn;
  std::optional<CollapseProbe> probe;
  std::optional<CollapseReport> first_probe;  // before the first step
  /// Of the last step. A recorded step writes these very tensors again.
  struct Results {
    Tensor loss, compared, accuracy;
  } results;
  Readback losses;
  struct Asked {
    std::int64_t step;
    double lr;
  };
  std::deque<Asked> asked;  // the steps whose losses are on their way
  double epoch_loss = 0;    // sum over the steps of this epoch
  std::int64_t saved_step = -1;
  bool passed_over = false;  // the folder's newest checkpoint, for the one before it
};

void Pretraining::Impl::forward_and_backward() {
  method->params().zero_grad();
  const Views views = feed.views(state);
  Tensor value;
  if (config.micro_batch > 0) {
    value = backward_in_parts(dynamic_cast<ContrastiveMethod&>(*method), views, config.micro_batch);
  } else {
    value = method->loss(views);
    backward(value);
  }
  results = {value.detach(), method->compared(), method->contrastive_accuracy()};
}

void Pretraining::Impl::train_step() {
  forward_and_backward();
  optimizer->step(state);
  method->after_step();
}

void Pretraining::Impl::prepare_scalars() {
  StepScalars scalars;
  scalars.momentum = config.momentum;
  scalars.temperature = config.temperature;
  scalars.step = static_cast<std::uint32_t>(progress.step);
  scalars.epoch = static_cast<std::uint32_t>(progress.epoch);
  set_learning_rates(scalars, method->params(), scaled_lr(config), schedule.at(progress.step));
  state.set(scalars);
}

std::vector<NamedTensor> Pretraining::Impl::state_tensors() const {
  std::vector<NamedTensor> tensors;
  for (const NamedTensor& t : optimizer->state()) tensors.push_back({"optimizer." + t.name, t.tensor});
  for (const NamedTensor& t : method->state()) tensors.push_back({"method." + t.name, t.tensor});
  return tensors;
}

/// Seconds of a step on the first batch. The first ones also touch memory that is new to them and can take several
/// times as long, so it repeats until one is hardly faster than the one before, for a bounded time, and takes the
/// least.
double Pretraining::Impl::timed_step() {
  constexpr int most_rounds = 8;
  constexpr double most_seconds = 20, hardly_faster = 0.9;
  const Stopwatch whole;
  prepare_scalars();
  feed.prepare(progress.epoch, progress.epoch_step);
  double least = std::numeric_limits<double>::infinity(), before = least;
  for (int round = 0; round < most_rounds && whole.seconds() < most_seconds; ++round) {
    const Stopwatch watch;
    step.rehearse(method->program(progress), [this] { forward_and_backward(); });
    device.synchronize();
    const double seconds = watch.seconds();
    least = std::min(least, seconds);
    if (round > 0 && seconds > hardly_faster * before) break;
    before = seconds;
  }
  feed.done();
  return least;
}

/// The first batch's effects on buffers and method are undone; parameters and optimizer are not touched.
PretrainPlan Pretraining::Impl::plan() {
  PretrainPlan plan;
  plan.images = data.train.size();
  plan.dropped_images = feed.dropped_images();
  plan.steps_per_epoch = progress.steps_per_epoch;
  plan.steps = progress.steps;
  plan.parameters = method->params().parameter_count();
  plan.lr = scaled_lr(config);
  if (progress.step == progress.steps) return plan;
  const UntouchedState untouched(*method);
  device.memory().reset_peak();
  if (probe && progress.step == 0) first_probe = probe->measure(feed, *method, 0);
  plan.seconds_per_step = timed_step();
  plan.memory_bytes = device.memory().stats().peak;
  plan.seconds = plan.seconds_per_step * static_cast<double>(progress.steps - progress.step);
  return plan;
}

void Pretraining::Impl::announce(const PretrainPlan& plan, PretrainObserver& observer) const {
  observer.on_plan(plan);
  if (plan.dropped_images > 0)
    observer.on_note(text("every epoch leaves out ", plan.dropped_images, " of ", plan.images,
                          " images, others each time: its last incomplete batch"));
  if (config.knn_every > 0 && !knn) observer.on_note("no kNN accuracy: " + KnnMonitor::obstacle(data));
  if (first_probe) observer.on_probe(*first_probe);
}

void Pretraining::Impl::take_losses(int left_over) {
  while (losses.pending() > left_over) {
    const double value = losses.take();
    const Asked of = asked.front();
    asked.pop_front();
    if (!std::isfinite(value))
      throw std::runtime_error(text("the loss became ", value, " at step ", of.step, " (learning rate ", of.lr,
                                    "): a lower learning rate or a longer warm-up may help"));
    epoch_loss += value;
  }
}

/// The next step, whichever program it is.
void Pretraining::Impl::advance(PretrainObserver& observer) {
  const int program = method->program(progress), kernels_before = step.kernels(program);
  prepare_scalars();
  feed.prepare(progress.epoch, progress.epoch_step);
  step.run(program);
  feed.done();
  if (step.kernels(program) != kernels_before)
    observer.on_note(text("the step is recorded: from now on one launch of ", step.kernels(program), " kernels"));
  losses.request(results.loss);
  asked.push_back({progress.step, state.host().lr[0]});
  take_losses(device.is_cpu() ? 0 : steps_ahead);
  ++progress.step;
  ++progress.epoch_step;
  method->between_steps(progress);
}

StepReport Pretraining::Impl::report(double images_per_second, double seconds_left) {
  take_losses();
  const Spread spread_now = spread(results.compared);
  return {.progress = progress,
          .loss = results.loss.item(),
          .lr = state.host().lr[0],
          .images_per_second = images_per_second,
          .seconds_left = seconds_left,
          .contrastive_accuracy = results.accuracy ? results.accuracy.item() : not_measured,
          .std_sqrt_d = spread_now.std_sqrt_d,
          .m_o = spread_now.m_o,
          .m_r = spread_now.m_r};
}

void Pretraining::Impl::run_probe(PretrainObserver& observer) {
  observer.on_probe(probe->measure(feed, *method, progress.step));
}

void Pretraining::Impl::end_epoch(PretrainObserver& observer, double seconds) {
  take_losses();
  EpochReport ended{.epoch = progress.epoch,
                    .mean_loss = epoch_loss / static_cast<double>(progress.steps_per_epoch),
                    .seconds = seconds,
                    .knn = std::nullopt,
                    .knn_seconds = 0};
  ++progress.epoch;
  progress.epoch_step = 0;
  epoch_loss = 0;
  const bool last = progress.epoch == progress.epochs;
  if (knn && (last || progress.epoch % config.knn_every == 0)) {
    const Stopwatch watch;
    ended.knn = knn_accuracy();
    ended.knn_seconds = watch.seconds();
  }
  observer.on_epoch(ended);
}

void Pretraining::Impl::save(const std::filesystem::path& folder, PretrainObserver& observer) {
  take_losses();
  if (folder.empty() || saved_step == progress.step) return;
  std::vector<NamedTensor> tensors = method->params().state_dict();
  for (NamedTensor& t : state_tensors()) tensors.push_back(std::move(t));
  if (probe) tensors.push_back({"run.initial_rank", Tensor::full({}, probe->initial_rank, DType::f64, device)});
  tensors.push_back({"run.epoch_loss", Tensor::full({}, epoch_loss, DType::f64, device)});
  save_checkpoint(folder, tensors,
                  {{"format", checkpoint_format},
                   {"method", config.method},
                   {"arch", config.arch},
                   {"stem", config.stem},
                   {"width", text(config.width)},
                   {"image_size", text(config.view_policies[0].size)},
                   {"step", text(progress.step)},
                   {"epoch", text(progress.epoch)},
                   {"epoch_step", text(progress.epoch_step)},
                   {"steps_per_epoch", text(progress.steps_per_epoch)},
                   {"images", data.train.fingerprint()},
                   {"config", config_text}},
                  passed_over);
  passed_over = false;
  saved_step = progress.step;
  observer.on_checkpoint(checkpoint_path(folder), progress);
}

Pretraining::Pretraining(const PretrainConfig& config, const Dataset& data, Device device, std::string config_text,
                         const Precision& precision) {
  validate(config);
  impl_ = std::make_unique<Impl>(config, data, device, std::move(config_text), precision);
}

Pretraining::~Pretraining() = default;
const Progress& Pretraining::progress() const { return impl_->progress; }
Method& Pretraining::method() { return *impl_->method; }
std::vector<NamedTensor> Pretraining::state() const { return impl_->state_tensors(); }
std::optional<double> Pretraining::knn_accuracy() const { return impl_->knn_accuracy(); }

void Pretraining::resume(const std::filesystem::path& folder, bool use_previous) {
  Impl& run = *impl_;
  const std::filesystem::path file = use_previous ? previous_checkpoint_path(folder) : checkpoint_path(folder);
  const Checkpoint checkpoint = load_checkpoint(folder, run.device, use_previous);
  check_images(checkpoint, run.data.train, file);
  const std::int64_t steps = number_of(checkpoint, "steps_per_epoch", file);
  check(steps == run.progress.steps_per_epoch, file.string(), ": is of a run with ", steps,
        " steps an epoch; this data and batch give ", run.progress.steps_per_epoch);
  std::vector<NamedTensor> network;
  for (const NamedTensor& t : checkpoint.tensors)
    if (!t.name.starts_with("optimizer.") && !t.name.starts_with("method.") && !t.name.starts_with("run."))
      network.push_back(t);
  run.method->params().load_state_dict(network).require_complete(file.string());
  for (const NamedTensor& t : run.state_tensors()) {
    const Tensor* saved = checkpoint.find(t.name);
    check(saved && saved->shape() == t.tensor.shape(), file.string(), ": its ", t.name,
          " is missing or of another size; was the run made with other settings?");
    t.tensor.copy_from(*saved);
  }
  if (const Tensor* sum = checkpoint.find("run.epoch_loss")) run.epoch_loss = sum->item();
  const Tensor* rank = checkpoint.find("run.initial_rank");
  if (rank && run.probe) run.probe->initial_rank = rank->item();
  run.progress.step = number_of(checkpoint, "step", file);
  run.progress.epoch = number_of(checkpoint, "epoch", file);
  run.progress.epoch_step = number_of(checkpoint, "epoch_step", file);
  run.saved_step = run.progress.step;
  run.passed_over = use_previous;
}

PretrainOutcome Pretraining::run(const std::filesystem::path& folder, PretrainObserver& observer,
                                 const std::atomic<bool>& stop) {
  Impl& run = *impl_;
  const PretrainPlan plan = run.plan();
  run.announce(plan, observer);
  Stopwatch epoch_watch, report_watch;
  double step_seconds = plan.seconds_per_step;  // a mean, of the steps so far and then a moving one
  int steps_timed = 0;
  std::int64_t reported = run.progress.step;
  while (run.progress.step < run.progress.steps) {
    const Stopwatch step_watch;
    run.advance(observer);
    step_seconds += (step_watch.seconds() - step_seconds) / std::min(++steps_timed, 20);
    const Progress at = run.progress;
    const bool epoch_over = at.epoch_step == at.steps_per_epoch;
    if (epoch_over || at.step % run.config.log_every == 0) {
      const double images = static_cast<double>((at.step - reported) * run.config.batch);
      observer.on_step(
          run.report(images / report_watch.seconds(), step_seconds * static_cast<double>(at.steps - at.step)));
      report_watch.restart();
      reported = at.step;
    }
    if (run.probe && run.probe->due(at)) {
      const Stopwatch probing;
      run.run_probe(observer);
      epoch_watch.leave_out(probing.seconds());
      report_watch.leave_out(probing.seconds());
    }
    if (epoch_over) {
      run.end_epoch(observer, epoch_watch.seconds());
      if (run.progress.epoch % run.config.checkpoint_every == 0) run.save(folder, observer);
      epoch_watch.restart();
      report_watch.restart();
    }
    if (stop.load() && at.step < at.steps) {
      run.save(folder, observer);
      return PretrainOutcome::stopped;
    }
  }
  run.save(folder, observer);
  return PretrainOutcome::finished;
}

}  // namespace kagami
