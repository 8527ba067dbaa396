#pragma once
// The options of a pretraining run: what the command line, a recipe and RUN/config.ini hold.
#include <filesystem>
#include <string>
#include <vector>

#include "apps/support/common_options.h"
#include "apps/support/data_source.h"
#include "ssl/config.h"

namespace kagami::apps {

struct PretrainOptions {
  PretrainConfig config;
  DataSource source;
  ComputeOptions compute;
  DeviceOption device;

  /// Binds every option to this object, which must outlive `options` and stay where it is.
  void declare(Options& options);
  /// After options.read(): the method's own recipe, under what was given; validates.
  void resolve(Options& options);

 private:
  void declare_network(Options& options);
  void declare_loss(Options& options);
  void declare_training(Options& options);
  void declare_views(Options& options);
  void declare_monitoring(Options& options);
  void resolve_views(Options& options);

  struct Setting {
    std::string key, value;
  };
  std::vector<Setting> view_settings_[2];  // of both views; of the second, where it differs
};

/// Sets `options` to what the config.ini of a run's folder says. Throws InputError where it holds no run.
void read_run(const std::filesystem::path& folder, PretrainOptions& options);

}  // namespace kagami::apps
