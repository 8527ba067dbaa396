// The program `kagami`: finds the command, runs it, turns exceptions into one line and an exit code.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <new>

#include "apps/commands.h"
#include "apps/support/build_info.h"
#include "apps/support/interruption.h"
#include "engine/error.h"
#include "engine/suggest.h"

namespace kagami::apps {
namespace {

constexpr std::array commands{
    Command{"pretrain", "learn features from unlabelled images", pretrain},
    Command{"evaluate", "what a run learned, beside raw pixels and the untrained network", evaluate},
    Command{"knn", "classify test images by their nearest training images in feature space", knn},
    Command{"linear", "train a linear classifier on frozen features", linear},
    Command{"embed", "write the features of images to a NumPy file", embed},
    Command{"data", "pack a data set into one file; draw augmented views", data},
    Command{"info", "what is in a run, a weights file, a checkpoint or a packed data set", info},
};

void print_help() {
  std::cout << "Kagami learns features from unlabelled images and measures what they are worth.\n\n"
               "  kagami COMMAND [options]\n"
               "  kagami COMMAND --help      what the command does, with examples\n"
               "  kagami --version\n\nCommands\n";
  for (const Command& command : commands) {
    std::string name = command.name;
    name.resize(10, ' ');
    std::cout << "  " << name << command.summary << '\n';
  }
  std::cout << "\nStart here (no files needed; two minutes)\n"
               "  kagami pretrain --data procedural --recipe apps/recipes/simclr-demo.ini --out runs/first\n"
               "  kagami evaluate --run runs/first\n"
               "\nExit codes: 0 done, 1 something failed, 2 an option or an input is not usable.\n";
}

int run(const Arguments& arguments) {
  const std::string& first = arguments.empty() ? std::string("--help") : arguments.front();
  if (first == "--help" || first == "-h" || first == "help") {
    print_help();
    return arguments.empty() ? 2 : 0;
  }
  if (first == "--version") {
    std::cout << version_text() << '\n';
    return 0;
  }
  std::vector<std::string> names;
  for (const Command& command : commands) {
    if (first == command.name) return command.run({arguments.begin() + 1, arguments.end()});
    names.emplace_back(command.name);
  }
  check(false, "unknown command '", first, "'", did_you_mean(first, names), " ('kagami --help' explains them)");
  return 2;
}

/// One line, whatever the message holds.
void report(std::string message) {
  std::replace(message.begin(), message.end(), '\n', ' ');
  std::cerr << "kagami: " << message << '\n';
}

}  // namespace
}  // namespace kagami::apps

int main(int argc, char** argv) {
  using namespace kagami;
  apps::ignore_write_signals();
  int code = 1;
  try {
    code = apps::run({argv + 1, argv + argc});
  } catch (const InputError& error) {
    apps::report(error.what());
    return 2;
  } catch (const std::bad_alloc&) {
    apps::report("not enough memory; a smaller --batch or a smaller network needs less");
    return 1;
  } catch (const std::exception& error) {
    apps::report(error.what());
    return 1;
  }
  // A reader that closed the pipe had enough; any other lost output is a failure.
  if ((!std::cout.flush() || std::fflush(stdout) != 0) && errno != EPIPE) {
    apps::report(std::string("standard output: cannot be written: ") + std::strerror(errno));
    return 1;
  }
  return code;
}
