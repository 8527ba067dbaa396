// kagami evaluate: what a run learned, beside what one has without learning.
#include <algorithm>
#include <iomanip>
#include <iostream>

#include "apps/commands.h"
#include "apps/labelled_data.h"
#include "apps/support/text.h"
#include "ssl/knn.h"

namespace kagami::apps {
namespace {

/// A table for a first look: a coarser choice of penalties and an earlier stop than kagami linear's.
LogisticOptions quick_logistic() {
  LogisticOptions options;
  options.l2_candidates = {1e-4, 1e-2, 1};
  options.max_iterations = 100;
  options.tolerance = 1e-4;
  return options;
}

void print_row(const std::string& name, const LabelledSplits& sets, const KnnOptions& neighbours) {
  std::cout << std::left << std::setw(22) << name << std::right << std::flush;
  std::cout << std::setw(8)
            << percent_text(knn_accuracy(sets.train.features, sets.train.labels, sets.test.features, sets.test.labels,
                                         sets.classes, neighbours))
            << std::flush;
  std::cout << std::setw(10)
            << percent_text(logistic_regression(sets.train, sets.test, sets.classes, quick_logistic()).test_accuracy)
            << std::endl;
}

}  // namespace

int evaluate(const Arguments& arguments) {
  std::string folder;
  bool previous = false;
  ImageOptions images;
  DeviceOption device;
  KnnOptions neighbours;
  Options options(
      "evaluate", "evaluate --run RUN [--data PATH] [options]",
      "Prints kNN and linear accuracy of the run's network, of the same network before its first step, and of raw "
      "pixels. The difference is what was learned.");
  options.example("evaluate --run runs/first", "on the run's own images");
  options.example("evaluate --run runs/first --train-images 5000 --test-images 2000", "the same, sooner");
  options.group("Network");
  options.add("run", folder, "RUN", "the folder of a run").once();
  declare_previous_checkpoint(options, previous);
  options.accept_recipe();
  images.declare(options);
  device.declare(options);
  if (!options.parse(arguments, std::cout)) return 0;
  check(!folder.empty(), "--run is missing: give the folder of a run");
  PretrainOptions run;
  read_run(folder, run);
  images.source.inherit(run.source, options);
  const Dataset data = images.open();
  check_labels(data, "kagami evaluate");
  neighbours.k = static_cast<int>(std::min<std::int64_t>(neighbours.k, data.train.size()));
  const Device where = device.device();
  const Precision precision = device.precision_on(where);
  const Encoder trained = encoder_of_run(folder, run, where, precision, Layer::h, previous);
  const Encoder untrained = untrained_encoder(run, where, precision);
  std::cout << data.train.size() << " training and " << data.test.size() << " test images of '" << data.name << "', "
            << data.class_names.size() << " classes\n\n"
            << std::setw(30) << "kNN" << std::setw(10) << "linear" << std::endl;
  print_row("raw pixels", pixels_of_splits(data, trained.transform), neighbours);
  print_row("untrained network", features_of_splits(data, untrained), neighbours);
  print_row("pretrained network", features_of_splits(data, trained), neighbours);
  return 0;
}

}  // namespace kagami::apps
