#pragma once
// The commands of the program, one file each. To add one: its file, a line here, a line in main.cpp.
#include <string>
#include <vector>

namespace kagami::apps {

using Arguments = std::vector<std::string>;

struct Command {
  const char* name;
  const char* summary;           ///< its line in `kagami --help`
  int (*run)(const Arguments&);  ///< returns the exit code; throws InputError (exit 2) or std::exception (exit 1)
};

int data(const Arguments& arguments);
int embed(const Arguments& arguments);
int evaluate(const Arguments& arguments);
int info(const Arguments& arguments);
int knn(const Arguments& arguments);
int linear(const Arguments& arguments);
int pretrain(const Arguments& arguments);

}  // namespace kagami::apps
