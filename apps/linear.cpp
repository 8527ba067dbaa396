// kagami linear: what a linear classifier reads out of frozen features.
#include "ssl/linear.h"

#include <cmath>
#include <iostream>

#include "apps/commands.h"
#include "apps/labelled_data.h"
#include "apps/support/text.h"

namespace kagami::apps {
namespace {

struct Call {
  ImageOptions images;
  EncoderOptions network;
  DeviceOption device;
  std::string protocol = "logistic";
  double l2 = -1, lr = 0;
  int epochs = 90, batch = 256;
  std::uint64_t seed = 1;
};

void declare(Options& options, Call& call) {
  options.example("linear --run runs/first", "the run's network on the run's own images");
  options.example("linear --run runs/first --layer projector", "what the projector threw away: usually a lot");
  options.example("linear --run runs/first --protocol sgd --epochs 100 --lr 30", "MoCo's protocol");
  call.network.declare(options, true);
  options.group("Classifier");
  options
      .add("protocol", call.protocol, "NAME",
           "logistic regression to convergence on standardised features, the papers' SGD, or least squares")
      .one_of({"logistic", "sgd", "ridge"});
  options.add("l2", call.l2, "X", "penalty (logistic, ridge); negative: chosen on a held-out tenth, ridge's is 10");
  options.add("lr", call.lr, "X", "learning rate (sgd); 0: chosen on a held-out tenth").at_least(0);
  options.add("epochs", call.epochs, "N", "passes (sgd)").between(1, 1e6);
  options.add("batch", call.batch, "N", "batch (sgd)").between(1, 1e9);
  options.add("seed", call.seed, "N", "of the held-out tenth and the order of batches");
  options.accept_recipe();
  call.images.declare(options);
  call.device.declare(options);
}

LinearResult evaluate(const Call& call, const LabelledSplits& sets) {
  if (call.protocol == "ridge") return ridge_probe(sets.train, sets.test, sets.classes, call.l2 < 0 ? 10 : call.l2);
  if (call.protocol == "sgd") {
    LinearSgdOptions options;
    if (call.lr > 0) options.lr_candidates = {call.lr};
    options.epochs = call.epochs;
    options.batch = call.batch;
    options.seed = call.seed;
    return linear_sgd(sets.train, sets.test, sets.classes, options);
  }
  LogisticOptions options;
  options.l2 = call.l2;
  options.seed = call.seed;
  return logistic_regression(sets.train, sets.test, sets.classes, options);
}

}  // namespace

int linear(const Arguments& arguments) {
  Call call;
  Options options(
      "linear", "linear --run RUN [--data PATH] [options]",
      "Trains a linear classifier on the features of a frozen network and says how many test images it gets "
      "right: the field's usual measure. Features are computed once. A penalty or rate that is not given is "
      "chosen on a tenth of the training images, never on the test images.");
  declare(options, call);
  if (!options.parse(arguments, std::cout)) return 0;
  call.network.resolve(options, call.images.source);
  const Dataset data = call.images.open();
  check_labels(data, "kagami linear");
  const Encoder encoder = call.network.load(call.device);
  const LinearResult result = evaluate(call, features_of_splits(data, encoder));
  std::cout << encoder.name << ": linear " << percent_text(result.test_accuracy) << " (" << call.protocol << ", ";
  if (call.protocol == "sgd")
    std::cout << "learning rate " << result.lr << ", " << result.iterations << " epochs";
  else
    std::cout << "l2 " << result.l2;
  std::cout << ", " << percent_text(result.train_accuracy) << " on the training images, " << data.train.size()
            << " training and " << data.test.size() << " test images)\n";
  return 0;
}

}  // namespace kagami::apps
