#include "tests/apps/small_run.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>

#include "engine/checkpoint.h"
#include "engine/safetensors.h"

namespace kagami::test {

std::vector<std::string> small_run(const std::string& out, const std::vector<std::string>& more) {
  std::vector<std::string> arguments{"pretrain",
                                     "--data",
                                     "procedural:120",
                                     "--arch",
                                     "resnet8",
                                     "--width",
                                     "4",
                                     "--stem",
                                     "cifar-s2",
                                     "--projector-hidden",
                                     "16",
                                     "--projector-dim",
                                     "8",
                                     "--device",
                                     "cpu",
                                     "--epochs",
                                     "4",
                                     "--batch",
                                     "16",
                                     "--warmup-epochs",
                                     "1",
                                     "--log-every",
                                     "1",
                                     "--knn-every",
                                     "2",
                                     "--threads",
                                     "1",
                                     "--out",
                                     out};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

std::map<std::string, std::string> checkpoint_tensors(const std::filesystem::path& run) {
  const SafetensorsFile file(checkpoint_path(run));
  file.verify();
  std::map<std::string, std::string> tensors;
  for (const StoredTensor& tensor : file.tensors())
    tensors[tensor.name] = std::string(static_cast<const char*>(tensor.data), tensor.bytes());
  return tensors;
}

std::map<int, double> logged(const std::filesystem::path& run, const std::string& key) {
  std::map<int, double> values;
  std::ifstream in(run / "log.jsonl");
  for (std::string line; std::getline(in, line);) {
    const boost::json::object object = boost::json::parse(line).as_object();
    const boost::json::value* value = object.if_contains(key);
    if (!value || value->is_null()) continue;
    const int step = static_cast<int>(object.at("step").as_int64());
    EXPECT_EQ(values.count(step), 0U) << "step " << step << " stands twice in the log";
    values[step] = value->to_number<double>();
  }
  return values;
}

}  // namespace kagami::test
