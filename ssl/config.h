#pragma once
// Everything a pretraining run is made from, as plain values. A method sets its recipe's values, then a recipe file and
// the command line override them.
#include <cstdint>
#include <string>

#include "ssl/augmentation.h"

namespace kagami {

struct KnnOptions {
  int k = 20;                ///< neighbours that vote
  double temperature = 0.1;  ///< a neighbour of cosine s votes with weight exp(s / temperature)
};

struct PretrainConfig {
  std::string method = "simclr";

  // Network.
  std::string arch = "resnet18";  ///< a name of models/registry.h
  std::string stem = "cifar";     ///< imagenet | cifar | cifar-s2
  int width = 0;                  ///< channels of the first stage; 0: the architecture's own

  // Projector: MLP on the encoder's output h.
  int projector_layers = 2;
  int projector_hidden = 512;
  int projector_dim = 128;
  bool projector_bias = false;                 ///< of the last layer; the others have one where they have no batch norm
  std::string projector_hidden_bn = "affine";  ///< of the layers before: the same choices
  std::string projector_output_bn = "scale";   ///< none | fixed (no gamma, no beta) | scale (gamma only) | affine

  // Loss.
  double temperature = 0.5;
  std::string bn_views = "per-view";  ///< batch statistics: per-view | joint (over both views' rows)

  // Optimization.
  int epochs = 100;
  int batch = 256;                    ///< images a step; each gives two views
  int micro_batch = 0;                ///< images whose graph is kept at a time (ssl/micro_batch.h); 0: all
  std::string optimizer = "sgd";      ///< sgd | lars | adamw
  double lr = 0.06;                   ///< before scaling
  std::string lr_scaling = "linear";  ///< linear (lr batch / 256) | sqrt (lr sqrt(batch)) | none
  std::string schedule = "cosine";    ///< cosine (per step) | cosine-epoch (per epoch) | constant
  double warmup_epochs = 10;          ///< linear from 0
  double momentum = 0.9;              ///< sgd, lars; AdamW's beta 1
  bool nesterov = false;              ///< sgd
  double weight_decay = 5e-4;
  bool decay_vectors = true;  ///< whether weight decay also acts on biases and batch norms (sgd, adamw; LARS never)
  double trust = 1e-3;        ///< LARS: eta
  std::string lars_norm = "joint";  ///< joint (SimCLR, BYOL) | sum (solo-learn, lightly): section LARS of ssl/README.md
  bool lars_lr_in_momentum = false;  ///< LARS: v = m v + lr ratio (g + wd p), p -= v (SimCLR's TensorFlow code)
  bool lars_clip = false;            ///< LARS: the scaled rate never exceeds lr

  // Views.
  std::string augmentation = "simclr-cifar";  ///< policy of both views, or FIRST,SECOND
  AugmentPolicy view_policies[2] = {augment_policy("simclr-cifar"), augment_policy("simclr-cifar")};

  std::uint64_t seed = 1;

  // Monitoring.
  int log_every = 10;                ///< steps between measurements
  int knn_every = 1;                 ///< epochs between kNN evaluations; 0: none
  std::int64_t knn_bank = 10000;     ///< training images in the bank, class-balanced; 0: all
  std::int64_t knn_queries = 10000;  ///< test images; 0: all
  KnnOptions knn;
  std::int64_t probe_images = 512;  ///< training images of the collapse probe; 0: none
  std::int64_t probe_every = 0;     ///< steps between probes; 0: at ends of epochs, below a hundredth of the time
  int checkpoint_every = 1;         ///< epochs between checkpoints

  // CUDA. Neither changes a bit of the result.
  std::int64_t device_data_limit = 8192;  ///< MiB: training images of more than that come to the device batch by batch
  bool record_step = true;                ///< the step is recorded once, then a run of it is one launch
};

/// The learning rate after scaling, and how it came about: "0.06 x 512 / 256 = 0.12".
double scaled_lr(const PretrainConfig& config);
std::string describe_lr(const PretrainConfig& config);

/// Sets both views' policies from `augmentation`. Their single settings can be changed afterwards.
void set_augmentation(PretrainConfig& config, const std::string& names);

/// Throws InputError naming the value that cannot be used and what is allowed.
void validate(const PretrainConfig& config);

}  // namespace kagami
