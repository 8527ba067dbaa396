// The recipes that come with the program.
#include <gtest/gtest.h>

#include <map>

#include "apps/support/recipe.h"
#include "tests/apps/program.h"
#include "tests/apps/temporary_folder.h"

namespace kagami::apps {
namespace {

using namespace test;
namespace fs = std::filesystem;

std::vector<fs::path> recipes() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(fs::path(KAGAMI_SOURCE_DIR) / "apps/recipes"))
    files.push_back(entry.path());
  return files;
}

std::map<std::string, std::string> settings(const fs::path& file) {
  std::map<std::string, std::string> settings;
  for (const auto& entry : read_recipe(file)) settings[entry.key] = entry.value;
  return settings;
}

/// What makes any recipe a run of seconds.
const std::map<std::string, std::string> small{
    {"data", "procedural:16"}, {"train-images", "16"}, {"test-images", "0"},  {"batch", "8"},  {"epochs", "1"},
    {"warmup-epochs", "0"},    {"knn-every", "0"},     {"probe-images", "8"}, {"threads", "1"}};

TEST(Recipes, EachBuildsItsMethodAndTrains) {
  ASSERT_GE(recipes().size(), 3U);
  for (const fs::path& recipe : recipes()) {
    const TemporaryFolder folder;
    std::vector<std::string> call{"pretrain", "--recipe", recipe.string(), "--out", "run"};
    for (const auto& [key, value] : small) {
      call.push_back("--" + key);
      call.push_back(value);
    }
    const Outcome run = kagami(folder.path(), call);
    ASSERT_EQ(run.code, 0) << recipe << '\n' << run.err;
    const auto used = settings(folder / "run/config.ini");
    for (const auto& [key, value] : settings(recipe)) {
      ASSERT_TRUE(used.count(key)) << recipe << ": " << key;
      if (small.count(key)) continue;
      char* end = nullptr;
      const double number = std::strtod(value.c_str(), &end);
      if (*end == 0)
        EXPECT_EQ(std::stod(used.at(key)), number) << recipe << ": " << key;
      else
        EXPECT_EQ(used.at(key), value) << recipe << ": " << key;
    }
  }
}

// README and run.py of google-research/simclr; its rate is that of 256 images.
TEST(Recipes, Cifar10IsThatOfSimClrsAuthors) {
  const auto recipe = settings(fs::path(KAGAMI_SOURCE_DIR) / "apps/recipes/simclr-cifar10.ini");
  const std::map<std::string, std::string> official{
      {"arch", "resnet18"},       {"stem", "cifar"},        {"epochs", "1000"},
      {"batch", "512"},           {"optimizer", "lars"},    {"lr", "1.0"},
      {"lr-scaling", "linear"},   {"weight-decay", "1e-4"}, {"temperature", "0.5"},
      {"warmup-epochs", "10"},    {"momentum", "0.9"},      {"trust", "1e-3"},
      {"projector-layers", "3"},  {"projector-dim", "128"}, {"bn-views", "joint"},
      {"schedule", "cosine"},     {"lars-norm", "joint"},   {"lars-lr-in-momentum", "true"},
      {"projector-hidden", "512"}};
  for (const auto& [key, value] : official) {
    ASSERT_TRUE(recipe.count(key)) << key;
    EXPECT_EQ(recipe.at(key), value) << key;
  }
}

}  // namespace
}  // namespace kagami::apps
