#include "apps/support/options.h"

#include <gtest/gtest.h>

#include <sstream>

#include "engine/error.h"
#include "tests/apps/temporary_folder.h"

namespace kagami::apps {
namespace {

using test::message_of;
using test::TemporaryFolder;
using test::write_content;

struct Values {
  std::string data = "none", method = "simclr", file;
  int epochs = 10;
  std::int64_t steps = 0;
  std::uint64_t seed = 0;
  double lr = 0.1, momentum = 0.9;
  bool overwrite = false, nesterov = true;
};

Options declare(Values& v) {
  Options options("train", "train --data PATH", "Trains something.");
  options.group("Data");
  options.add("data", v.data, "PATH", "what to learn from").once();
  options.group("Training");
  options.add("method", v.method, "NAME", "which method").one_of({"simclr", "simsiam"});
  options.add("epochs", v.epochs, "N", "passes").between(1, 1000);
  options.add("steps", v.steps, "N", "steps");
  options.add("seed", v.seed, "N", "seed");
  options.add("lr", v.lr, "X", "learning rate").above(0);
  options.add("momentum", v.momentum, "X", "momentum").at_least(0).below(1);
  options.add("nesterov", v.nesterov, "look ahead");
  options.add("overwrite", v.overwrite, "replace").transient();
  options.positional("FILE", v.file, "a file");
  options.accept_recipe();
  return options;
}

Values parsed(const std::vector<std::string>& arguments) {
  Values values;
  Options options = declare(values);
  options.read(arguments);
  options.apply();
  return values;
}

std::string refused(const std::vector<std::string>& arguments) {
  return message_of<InputError>([&] { parsed(arguments); });
}

TEST(Options, EveryKindOfValue) {
  const Values v = parsed({"--data", "a b", "--epochs=3", "--lr", "1e-3", "--overwrite", "--nesterov=false", "--seed",
                           "18446744073709551615", "--steps", "-4", "x.safetensors"});
  EXPECT_EQ(v.data, "a b");
  EXPECT_EQ(v.epochs, 3);
  EXPECT_EQ(v.lr, 1e-3);
  EXPECT_TRUE(v.overwrite);
  EXPECT_FALSE(v.nesterov);
  EXPECT_EQ(v.seed, ~std::uint64_t{0});
  EXPECT_EQ(v.steps, -4);
  EXPECT_EQ(v.file, "x.safetensors");
}

TEST(Options, DefaultsStayWhereNothingIsGiven) {
  const Values v = parsed({});
  EXPECT_EQ(v.epochs, 10);
  EXPECT_EQ(v.lr, 0.1);
  EXPECT_TRUE(v.nesterov);
}

TEST(Options, SaysWhatIsWrong) {
  EXPECT_EQ(refused({"--epohcs", "3"}),
            "unknown option '--epohcs'; did you mean '--epochs'? ('kagami train --help' lists them)");
  EXPECT_EQ(refused({"--epohcs=3"}),
            "unknown option '--epohcs'; did you mean '--epochs'? ('kagami train --help' lists them)");
  EXPECT_EQ(refused({"--epochs"}), "--epochs needs a value ('kagami train --help' says which)");
  EXPECT_EQ(refused({"--epochs", "--lr", "1"}), "--epochs needs a value ('kagami train --help' says which)");
  EXPECT_EQ(refused({"--epochs", "three"}), "--epochs: 'three' is not a whole number from 1 to 1000");
  EXPECT_EQ(refused({"--epochs", "3.5"}), "--epochs: '3.5' is not a whole number from 1 to 1000");
  EXPECT_EQ(refused({"--epochs", "0"}), "--epochs: 0 is out of range: a number from 1 to 1000");
  EXPECT_EQ(refused({"--epochs", "99999999999999999999"}),
            "--epochs: '99999999999999999999' is not a whole number from 1 to 1000");
  EXPECT_EQ(refused({"--lr", "0"}), "--lr: 0 is out of range: a number above 0");
  EXPECT_EQ(refused({"--momentum", "1"}), "--momentum: 1 is out of range: a number of at least 0 and below 1");
  EXPECT_EQ(refused({"--momentum", "0"}), "");
  EXPECT_EQ(refused({"--lr", "nan"}), "--lr: 'nan' is not a number above 0");
  EXPECT_EQ(refused({"--seed", "-1"}), "--seed: '-1' is not a whole number of at least 0");
  EXPECT_EQ(refused({"--method", "simlcr"}), "--method: 'simlcr' is not known; did you mean 'simclr'?");
  EXPECT_EQ(refused({"--lr", "1", "--lr", "2"}), "--lr is given twice");
  EXPECT_EQ(refused({"--nesterov=maybe"}), "--nesterov: 'maybe' is not true or false");
  EXPECT_NE(refused({"a", "b"}).find("unexpected argument 'b'"), std::string::npos);
  EXPECT_NE(refused({"-x"}).find("unknown option '-x'"), std::string::npos);
}

TEST(Options, CommandLineWinsOverRecipe) {
  const TemporaryFolder folder;
  write_content(folder / "r.ini", "epochs = 7\nlr = 0.5\nnesterov = no\n");
  const Values v = parsed({"--recipe", (folder / "r.ini").string(), "--lr", "0.25"});
  EXPECT_EQ(v.epochs, 7);
  EXPECT_EQ(v.lr, 0.25);
  EXPECT_FALSE(v.nesterov);
}

TEST(Options, RecipeErrorsNameFileAndLine) {
  const TemporaryFolder folder;
  const std::string file = (folder / "r.ini").string();
  const auto refused_recipe = [&](const std::string& content) {
    write_content(file, content);
    return refused({"--recipe", file});
  };
  EXPECT_EQ(refused_recipe("\nepohcs = 7\n"), file + ":2: unknown key 'epohcs'; did you mean 'epochs'?");
  EXPECT_EQ(refused_recipe("epochs = many\n"), file + ":1: epochs: 'many' is not a whole number from 1 to 1000");
  EXPECT_EQ(refused_recipe("lr = 1\nlr = 2\n"), file + ":2: lr is given twice");
  EXPECT_NE(refused_recipe("overwrite = true\n").find("unknown key 'overwrite'"), std::string::npos);
  EXPECT_NE(refused({"--recipe", file + "x"}).find("cannot read the recipe file"), std::string::npos);
}

TEST(Options, WhatIsWrittenReadsBack) {
  const TemporaryFolder folder;
  Values values;
  Options options = declare(values);
  options.read({"--data", "a b", "--lr", "0.1234567890123456789", "--epochs", "44", "--overwrite"});
  options.apply();
  write_content(folder / "config.ini", options.as_recipe());
  EXPECT_EQ(options.as_recipe().find("overwrite"), std::string::npos);
  const Values back = parsed({"--recipe", (folder / "config.ini").string()});
  EXPECT_EQ(back.data, "a b");
  EXPECT_EQ(back.lr, values.lr);
  EXPECT_EQ(back.epochs, 44);
  EXPECT_FALSE(back.overwrite);
}

TEST(Options, NamesWhatDiffersFromAFile) {
  const TemporaryFolder folder;
  write_content(folder / "config.ini", "epochs = 7\nlr = 0.5\n");
  Values values;
  Options options = declare(values);
  options.read({"--lr", "0.25", "--epochs", "07"});
  options.apply();
  EXPECT_EQ(options.changed_from(folder / "config.ini"), std::vector<std::string>{"lr"});
}

TEST(Options, HelpShowsExamplesDefaultsAndChoices) {
  Values values;
  Options options = declare(values);
  options.example("train --data x", "the shortest call");
  options.read({"--help"});
  EXPECT_TRUE(options.help_wanted());
  std::ostringstream out;
  options.print_help(out);
  const std::string help = out.str();
  for (const char* part : {"kagami train --data PATH", "the shortest call", "--epochs N", "(10)", "simclr, simsiam"})
    EXPECT_NE(help.find(part), std::string::npos) << part << " is missing from\n" << help;
}

}  // namespace
}  // namespace kagami::apps
