// SimCLR: Chen, Kornblith, Norouzi, Hinton, "A Simple Framework for Contrastive Learning of Visual Representations",
// ICML 2020.
#include "engine/autograd.h"
#include "engine/ops.h"
#include "ssl/method.h"
#include "ssl/network.h"

namespace kagami {
namespace {

class SimClr final : public ContrastiveMethod {
 public:
  SimClr(const PretrainConfig& config, Device device, const Precision& precision)
      : temperature_(config.temperature),
        norm_(training_norm(config)),
        encoder_(make_backbone(Scope(params_).child("encoder"), backbone_options(config))),
        projector_(Scope(params_).child("projector"), projector_options(config, encoder_->features())) {
    params_.allocate(device, precision, config.seed);
  }

  /// Algorithm 1: both views through one encoder and projector ...
  Tensor embed(const Views& views, RunningStatistics running) override {
    BatchNormOptions norm = norm_;
    if (running == RunningStatistics::stay) norm.momentum = 0;
    return projector_.forward(encoder_->forward(views.all, norm), norm);
  }
  /// ... each vector must find its other view among all others.
  Tensor loss_of(const Tensor& z) override {
    const ContrastiveLoss result = ntxent(z, temperature_);
    compared_ = z.detach();
    accuracy_ = result.accuracy;
    return result.loss;
  }

  Params& params() override { return params_; }
  Tensor compared() const override { return compared_; }
  Tensor contrastive_accuracy() const override { return accuracy_; }

  Tensor encode(const Tensor& images) const override {
    const NoGrad no_grad;
    return widen(encoder_->forward(images, norm_options(Mode::eval)));
  }
  Tensor project(const Tensor& h) const override {
    const NoGrad no_grad;
    return widen(projector_.forward(h, norm_options(Mode::eval)));
  }

 private:
  double temperature_;
  BatchNormOptions norm_;
  Params params_;
  std::unique_ptr<Backbone> encoder_;
  Mlp projector_;
  Tensor compared_, accuracy_;
};

/// The paper's CIFAR-10 setting (appendix B.9) at the batch, rate (1 for 256 images) and decay of the official code's
/// CIFAR example.
void recipe(PretrainConfig& config) {
  config.arch = "resnet18";
  config.stem = "cifar";
  config.projector_layers = 2;
  config.projector_hidden = 512;
  config.projector_dim = 128;
  config.projector_output_bn = "scale";
  config.temperature = 0.5;
  config.batch = 512;
  config.epochs = 200;
  config.warmup_epochs = 10;
  config.schedule = "cosine";
  config.optimizer = "lars";
  config.lars_norm = "joint";
  config.trust = 1e-3;
  config.lr = 1;
  config.lr_scaling = "linear";
  config.weight_decay = 1e-4;
  set_augmentation(config, "simclr-cifar");
}

const RegisterMethod registered({
    .name = "simclr",
    .summary = "contrastive: a view must find its other view among the whole batch (Chen et al. 2020)",
    .defaults = recipe,
    .make = [](const PretrainConfig& config, Device device, const Precision& precision) -> std::unique_ptr<Method> {
      return std::make_unique<SimClr>(config, device, precision);
    },
});

}  // namespace
}  // namespace kagami
