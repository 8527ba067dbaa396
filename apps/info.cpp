#include <iostream>
#include "apps/commands.h"
#include "apps/support/options.h"
namespace kagami::apps {
int info(const Arguments& arguments) {
  std::string file;
  Options options("info", "info FILE", "Says what is in a file.");
  options.positional("FILE", file, "a .safetensors file");
  options.read(arguments);
  options.apply();
  options.print_help(std::cout);
  return 0;
}
}  // namespace kagami::apps
