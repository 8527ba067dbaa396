// kagami knn: what features are worth without training anything on them.
#include "ssl/knn.h"

#include <algorithm>
#include <iostream>

#include "apps/commands.h"
#include "apps/labelled_data.h"
#include "apps/support/text.h"

namespace kagami::apps {

int knn(const Arguments& arguments) {
  ImageOptions images;
  EncoderOptions network;
  DeviceOption device;
  KnnOptions neighbours;
  Options options(
      "knn", "knn --run RUN [--data PATH] [options]",
      "Classifies every test image by its nearest training images in the network's features: cosine similarity, "
      "votes weighted with exp(similarity / temperature). Nothing is trained, so it is quick and has nothing to "
      "tune; the linear evaluation is usually a few points higher.");
  options.example("knn --run runs/first", "the run's network on the run's own images");
  options.example("knn --run runs/first --data cifar-10-batches-bin", "on other images");
  options.example("knn --weights r18.safetensors --arch resnet18 --stem imagenet --data photos/",
                  "weights of elsewhere");
  network.declare(options, true);
  options.group("Neighbours");
  options.add("k", neighbours.k, "N", "neighbours that vote").between(1, 1e6);
  options.add("temperature", neighbours.temperature, "X", "of their votes").above(0);
  options.accept_recipe();
  images.declare(options);
  device.declare(options);
  if (!options.parse(arguments, std::cout)) return 0;
  network.resolve(options, images.source);
  const Dataset data = images.open();
  check_labels(data, "kagami knn");
  if (!options.given("k")) neighbours.k = static_cast<int>(std::min<std::int64_t>(neighbours.k, data.train.size()));
  const Encoder encoder = network.load(device);
  const LabelledSplits sets = features_of_splits(data, encoder);
  const double accuracy = knn_accuracy(sets.train.features, sets.train.labels, sets.test.features, sets.test.labels,
                                       sets.classes, neighbours);
  std::cout << encoder.name << ": kNN " << percent_text(accuracy) << " (k = " << neighbours.k << ", temperature "
            << neighbours.temperature << ", " << data.train.size() << " training and " << data.test.size()
            << " test images)\n";
  return 0;
}

}  // namespace kagami::apps
