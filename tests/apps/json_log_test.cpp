#include "apps/support/json_log.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/apps/temporary_folder.h"

namespace kagami::apps {
namespace {

using test::content_of;
using test::message_of;
using test::TemporaryFolder;
using test::write_content;

TEST(JsonLog, Lines) {
  EXPECT_EQ(JsonLine().text(), "{}");
  EXPECT_EQ(JsonLine().add("step", 3).add("loss", 0.5).add("name", "a \"b\"\n").add("bad", std::nan("")).text(),
            R"({"step": 3, "loss": 0.5, "name": "a \"b\"\n", "bad": null})");
}

TEST(JsonLog, Appends) {
  const TemporaryFolder folder;
  JsonLog(folder / "log.jsonl").write(JsonLine().add("step", 1));
  JsonLog(folder / "log.jsonl").write(JsonLine().add("step", 2));
  EXPECT_EQ(content_of(folder / "log.jsonl"), "{\"step\": 1}\n{\"step\": 2}\n");
  EXPECT_NE(message_of<std::runtime_error>([&] { JsonLog(folder / "none/log.jsonl"); }).find("none/log.jsonl"),
            std::string::npos);
}

TEST(JsonLog, FullDiskNamesTheFile) {
  JsonLog log("/dev/full");
  const std::string message = message_of<std::runtime_error>([&] { log.write(JsonLine().add("step", 1)); });
  EXPECT_NE(message.find("/dev/full"), std::string::npos);
  EXPECT_NE(message.find("No space left"), std::string::npos);
}

TEST(JsonLog, IsCutBackToAStep) {
  const TemporaryFolder folder;
  const auto file = folder / "log.jsonl";
  const std::string kept = "{\"step\": 1}\n{\"step\": 2, \"x\": {\"y\": 1}}\n{\"step\": 2, \"epoch\": 1}\n";
  write_content(file, kept + "{\"step\": 3}\n{\"step\": 4}\n");
  EXPECT_EQ(cut_log_back(file, 2), 3);
  EXPECT_EQ(content_of(file), kept);
  write_content(file, kept + "{\"step\": 2, \"lo");  // a process killed while it wrote
  EXPECT_EQ(cut_log_back(file, 9), 3);
  EXPECT_EQ(content_of(file), kept);
  write_content(file, kept + "{\"step\": 3}");  // whole, but without its end of line
  EXPECT_EQ(cut_log_back(file, 9), 3);
  EXPECT_EQ(cut_log_back(file, 0), 0);
  EXPECT_EQ(content_of(file), "");
  EXPECT_EQ(cut_log_back(folder / "none", 5), 0);
}

}  // namespace
}  // namespace kagami::apps
