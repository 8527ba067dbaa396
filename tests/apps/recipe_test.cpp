#include "apps/support/recipe.h"

#include <gtest/gtest.h>

#include "engine/error.h"
#include "tests/apps/temporary_folder.h"

namespace kagami::apps {
namespace {

using test::message_of;
using test::TemporaryFolder;
using test::write_content;

TEST(Recipe, KeysValuesCommentsAndLineNumbers) {
  const TemporaryFolder folder;
  write_content(folder / "a.ini", "# title\n\nepochs = 3\n  data=a folder/x#1 ; not this\r\nempty =\n");
  const auto entries = read_recipe(folder / "a.ini");
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0].key, "epochs");
  EXPECT_EQ(entries[0].value, "3");
  EXPECT_EQ(entries[0].line, 3);
  EXPECT_EQ(entries[1].value, "a folder/x#1");
  EXPECT_EQ(entries[1].line, 4);
  EXPECT_EQ(entries[2].value, "");
}

TEST(Recipe, EveryValueOfOneLineReadsBackAsItWas) {
  const TemporaryFolder folder;
  const std::string values[] = {"photos",     "my photos #1",   "a ;b",          "#",  ";x",    " blanks ", "tab\t# x",
                                "\"quoted\"", "say \"hi\" # x", "back\\slash #", "\\", "a = b", "x#1;2",    "\"",
                                "",           "end\r"};
  std::string recipe;
  for (const std::string& value : values) recipe += "data = " + recipe_value(value) + "\n";
  write_content(folder / "a.ini", recipe);
  const auto entries = read_recipe(folder / "a.ini");
  ASSERT_EQ(entries.size(), std::size(values));
  for (std::size_t i = 0; i < entries.size(); ++i) EXPECT_EQ(entries[i].value, values[i]);
  EXPECT_EQ(recipe_value("photos of 2024/x#1"), "photos of 2024/x#1") << "quoted without need";
}

TEST(Recipe, CommentsFollowQuotedValues) {
  const TemporaryFolder folder;
  write_content(folder / "a.ini", "data = \"a #1\"  # the first\nout = \"b\" c\n");
  EXPECT_EQ(message_of<InputError>([&] { read_recipe(folder / "a.ini"); }),
            (folder / "a.ini").string() + ":2: 'c' follows the value's closing quote");
  write_content(folder / "a.ini", "data = \"a #1\"  # the first\n");
  EXPECT_EQ(read_recipe(folder / "a.ini").at(0).value, "a #1");
}

TEST(Recipe, SaysWhatIsWrongAndWhere) {
  const TemporaryFolder folder;
  write_content(folder / "a.ini", "epochs = 3\nbatch 12\n");
  const std::string place = (folder / "a.ini").string();
  EXPECT_EQ(message_of<InputError>([&] { read_recipe(folder / "a.ini"); }),
            place + ":2: 'batch 12' is not of the form key = value");
  write_content(folder / "a.ini", "batch # = 12\n");
  EXPECT_EQ(message_of<InputError>([&] { read_recipe(folder / "a.ini"); }),
            place + ":1: 'batch' is not of the form key = value");
  write_content(folder / "a.ini", "data = \"photos\n");
  EXPECT_EQ(message_of<InputError>([&] { read_recipe(folder / "a.ini"); }),
            place + ":1: the value's closing quote is missing");
  write_content(folder / "a.ini", "= 3\n");
  EXPECT_NE(message_of<InputError>([&] { read_recipe(folder / "a.ini"); }).find(":1:"), std::string::npos);
  EXPECT_NE(message_of<InputError>([&] { read_recipe(folder / "none.ini"); }).find("No such file"), std::string::npos);
  EXPECT_NE(message_of<InputError>([&] { read_recipe(folder.path()); }).find("is a folder"), std::string::npos);
}

}  // namespace
}  // namespace kagami::apps
