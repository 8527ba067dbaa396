#pragma once
// A pretraining run of a second or less, and what to compare of it.
#include <map>
#include <string>
#include <vector>

#include "tests/apps/program.h"

namespace kagami::test {

constexpr int small_run_steps = 28;  ///< 4 epochs of 7 batches

/// Arguments of a run on the CPU into `out`; `more` is appended.
std::vector<std::string> small_run(const std::string& out, const std::vector<std::string>& more = {});

/// Every tensor of the run's checkpoint: name to bytes.
std::map<std::string, std::string> checkpoint_tensors(const std::filesystem::path& run);

/// The values of `key` in log.jsonl by step, of lines that have both; a step that stands twice fails the test.
std::map<int, double> logged(const std::filesystem::path& run, const std::string& key);

}  // namespace kagami::test
