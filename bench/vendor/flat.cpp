// Rows of what has no counterpart in the vendor's libraries: augmentation, optimizers and the contrastive loss, against
// the device's bounds. The CPU's kernels say what is right.
#include "bench/vendor/cases.h"
#include "kernels/augment.h"
#include "kernels/contrastive.h"
#include "kernels/optimizer.h"
#include "kernels/philox.h"
#include "ssl/augmentation.h"

namespace kagami::bench {
namespace {

Cpu cpu() {
  static Arena memory;
  return {&memory};
}

std::vector<float> normal_values(std::size_t count, float scale, std::size_t offset) {
  const std::vector<float>& block = normal_block();
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = scale * block[(i + offset) % block.size()];
  return values;
}

double error_of(const std::vector<float>& values, const std::vector<float>& exact) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double d = double{values[i]} - exact[i];
    difference += d * d, size += double{exact[i]} * exact[i];
  }
  return std::sqrt(difference / size);
}

// ---- Augmentation

struct Batch {
  const char* policy;
  int images, side;
};

void augmentation(benchmark::State& state, Context& context, const Batch& batch) {
  const AugmentPolicy policy = augment_policy(batch.policy);
  const std::size_t image = std::size_t(batch.side) * batch.side * 3, view = std::size_t(policy.size) * policy.size * 3;
  const std::size_t count = std::size_t(batch.images);
  std::vector<std::uint8_t> pixels(count * image);
  Philox random(1, Purpose::test, 0, 0, 0);
  for (auto& p : pixels) p = static_cast<std::uint8_t>(random.next());
  const Memory<std::uint8_t> on_device(context.device, pixels.size());
  on_device.set(pixels);
  const auto sources = [&](const std::uint8_t* from) {
    std::vector<SourceImage> list;
    for (std::size_t i = 0; i < count; ++i)
      list.push_back({from + i * image, batch.side, batch.side, static_cast<std::uint32_t>(i)});
    return list;
  };
  const Memory<SourceImage> images(context.device, count);
  images.set(sources(on_device.data()));
  const Memory<float> views(context.device, count * view);
  const Cuda device = launcher(context.device);
  const AugmentDraw draw{.seed = 3, .epoch = 1, .view = 0};
  const Work ours = [&] { augment<float>(device, policy, draw, images.data(), batch.images, views.data()); };
  views.poison();
  ours();
  const std::size_t compared = std::min<std::size_t>(count, 64);
  std::vector<float> exact(compared * view);
  augment(cpu(), policy, draw, sources(pixels.data()).data(), std::int64_t(compared), exact.data());
  std::vector<float> first(exact.size());
  context.device.copy_out(first.data(), views.data(), first.size() * sizeof(float));
  if (!passes(state, "our", error_of(first, exact), 1e-3)) return;
  const double bytes = double(pixels.size()) + double(views.size()) * sizeof(float);
  const Measured measured = report(state, context, "augment", ours, {}, bound_us(context, Arithmetic::fp32, 0, bytes));
  state.counters["views/s"] = batch.images / measured.ours_us * 1e6;
}

// ---- Optimizers

constexpr const char* optimizers[] = {"sgd", "lars", "adamw", "lars_ema"};

/// Memory of one optimizer's state, on either back end: parameters, gradients, two moments (or an EMA target).
struct Flat {
  float *p, *g, *m, *v;
};

template <class Back>
void update(const Back& device, const std::string& which, const std::vector<UpdateRange>& ranges,
            const StepScalars* scalars, const Flat& flat, std::int64_t count) {
  const int n = static_cast<int>(ranges.size());
  if (which == "sgd")
    sgd_update<float>(device, ranges.data(), n, scalars, {.weight_decay = 1e-4}, flat.p, flat.g, flat.m);
  else if (which == "lars")
    lars_update<float>(device, ranges.data(), n, scalars, {.weight_decay = 1e-4}, flat.p, flat.g, flat.m);
  else if (which == "adamw")
    adamw_update<float>(device, ranges.data(), n, scalars, {.weight_decay = 1e-4}, flat.p, flat.g, flat.m, flat.v);
  else
    lars_update<float>(device, ranges.data(), n, scalars, {.weight_decay = 1e-4}, flat.p, flat.g, flat.m, nullptr,
                       {flat.v, count});
}

/// Bytes a parameter: LARS reads parameters and gradients once more, for their norms.
double bytes_of(const std::string& which) { return which == "sgd" ? 20 : which == "lars_ema" ? 36 : 28; }

void optimizer(benchmark::State& state, Context& context, const std::string& which, std::size_t count) {
  constexpr std::size_t parameters = 60;  // as many as a ResNet-18 has
  std::vector<UpdateRange> ranges;
  for (std::size_t i = 0; i < parameters; ++i) {
    const std::size_t first = count * i / parameters, last = count * (i + 1) / parameters;
    ranges.push_back({std::int64_t(first), std::int64_t(last - first), 0, true, true});
  }
  StepScalars scalars;
  scalars.lr[0] = 0.1, scalars.ema_tau = 0.99;
  std::vector<float> p = normal_values(count, 0.1F, 0), g = normal_values(count, 0.01F, 1000), m(count, 0.0F),
                     v(count, 0.0F);
  const Memory<float> p_there(context.device, count), g_there(context.device, count), m_there(context.device, count),
      v_there(context.device, count);
  p_there.set(p), g_there.set(g), m_there.set(m), v_there.set(v);
  const Memory<StepScalars> scalars_there(context.device, 1);
  scalars_there.set({scalars});
  const Cuda device = launcher(context.device);
  const Work ours = [&] {
    update(device, which, ranges, scalars_there.data(),
           {p_there.data(), g_there.data(), m_there.data(), v_there.data()}, std::int64_t(count));
  };
  ours();
  update(cpu(), which, ranges, &scalars, {p.data(), g.data(), m.data(), v.data()}, std::int64_t(count));
  if (!passes(state, "our", error_of(p_there.host(), p), 1e-5)) return;
  const double bytes = bytes_of(which) * double(count);
  const Measured measured =
      report(state, context, "optimizer", ours, {}, bound_us(context, Arithmetic::fp32, 0, bytes));
  state.counters["GB/s"] = bytes / measured.ours_us * 1e-3;
}

// ---- Contrastive losses: NT-Xent where the rows are the keys, InfoNCE against a queue

void contrastive_loss(benchmark::State& state, Context& context, const ContrastiveShape& shape, bool backward) {
  const bool views = shape.pairing == Pairing::views;
  const std::size_t rows = std::size_t(shape.rows), dim = std::size_t(shape.dim), size = rows * dim;
  const std::size_t others = std::size_t(shape.queue) + (views ? 0 : rows);  // vectors that are no rows
  std::vector<float> unit = normal_values(size + others * dim, 1, 0);
  for (std::size_t i = 0; i < unit.size(); i += dim) {
    double squares = 0;
    for (std::size_t d = i; d < i + dim; ++d) squares += double{unit[d]} * unit[d];
    for (std::size_t d = i; d < i + dim; ++d) unit[d] *= float(1 / std::sqrt(squares));
  }
  const auto columns = [&](const float* all) {
    const float* keys = views ? all : all + size;
    return Columns<float>{keys, keys + size};
  };
  std::vector<float> log_sums(rows), losses(rows), correct(rows), gradient(size);
  contrastive_forward<float>(cpu(), shape, unit.data(), columns(unit.data()), log_sums.data(), losses.data(),
                             correct.data());
  if (backward)
    contrastive_backward<float>(cpu(), shape, unit.data(), columns(unit.data()), log_sums.data(),
                                views ? log_sums.data() : nullptr, gradient.data());
  const Memory<float> unit_there(context.device, unit.size()), log_sums_there(context.device, rows),
      losses_there(context.device, rows), correct_there(context.device, rows), gradient_there(context.device, size);
  unit_there.set(unit), log_sums_there.set(log_sums);
  const Cuda device = launcher(context.device);
  const Work ours = [&] {
    const Columns<float> met = columns(unit_there.data());
    if (backward)
      contrastive_backward<float>(device, shape, unit_there.data(), met, log_sums_there.data(),
                                  views ? log_sums_there.data() : nullptr, gradient_there.data());
    else
      contrastive_forward<float>(device, shape, unit_there.data(), met, log_sums_there.data(), losses_there.data(),
                                 correct_there.data());
  };
  losses_there.poison(), gradient_there.poison();
  ours();
  const double error = backward ? error_of(gradient_there.host(), gradient) : error_of(losses_there.host(), losses);
  if (!passes(state, "our", error, 1e-4)) return;
  const double products = double(rows) * (views ? double(rows) : double(shape.queue));
  const double operations = (backward ? 4.0 : 2.0) * products * shape.dim;  // similarities are remade
  constexpr double tf32_products = 3;                                       // for one of fp32's precision
  const double bytes = double(unit.size() + (backward ? size : 0)) * sizeof(float);
  report(state, context, views ? "ntxent" : "info_nce", ours, {},
         bound_us(context, Arithmetic::tf32, tf32_products * operations, bytes));
}

std::string name_of(const ContrastiveShape& shape, bool backward) {
  const bool views = shape.pairing == Pairing::views;
  return std::string(views ? "ntxent/" : "info_nce/") + (backward ? "backward/" : "forward/") +
         std::to_string(shape.rows) + "x" + (views ? "" : std::to_string(shape.queue) + "x") +
         std::to_string(shape.dim);
}

}  // namespace

void add_flat(Context& context, bool tiny) {
  for (const Batch& batch : tiny ? std::vector<Batch>{{"simclr-cifar", 2, 32}}
                                 : std::vector<Batch>{{"simclr-cifar", 1024, 32}, {"simclr", 256, 256}})
    add_row(context,
            "augment/" + std::string(batch.policy) + "/" + std::to_string(batch.images) + "x" +
                std::to_string(batch.side) + "x" + std::to_string(batch.side),
            [=, &context](benchmark::State& state) { augmentation(state, context, batch); });
  for (const std::size_t count : tiny ? std::vector<std::size_t>{1000} : std::vector<std::size_t>{11500000, 28000000})
    for (const char* which : optimizers)
      add_row(context, "optimizer/" + std::string(which) + "/" + std::to_string(count),
              [=, &context](benchmark::State& state) { optimizer(state, context, which, count); });
  const std::vector<ContrastiveShape> losses =
      tiny ? std::vector<ContrastiveShape>{{16, 0, 32, 0.5, Pairing::views}, {16, 70, 32, 0.5, Pairing::own_key}}
           : std::vector<ContrastiveShape>{{1024, 0, 128, 0.5, Pairing::views},
                                           {4096, 0, 128, 0.1, Pairing::views},
                                           {8192, 0, 128, 0.1, Pairing::views},
                                           {512, 65536, 128, 0.2, Pairing::own_key}};
  for (const ContrastiveShape& shape : losses)
    for (const bool backward : {false, true})
      add_row(context, name_of(shape, backward),
              [=, &context](benchmark::State& state) { contrastive_loss(state, context, shape, backward); });
}

}  // namespace kagami::bench
