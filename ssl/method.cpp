#include "ssl/method.h"

#include <map>

#include "engine/suggest.h"

namespace kagami {
namespace {

/// A function, so that it exists before the first file registers itself.
std::map<std::string, MethodInfo, std::less<>>& registry() {
  static std::map<std::string, MethodInfo, std::less<>> methods;
  return methods;
}

}  // namespace

Views views_of(const Tensor& all, int count) {
  check(count >= 1 && all.rank() >= 1 && all.shape(0) % count == 0, "views_of: ", describe(all), " does not hold ",
        count, " views");
  Views views{.all = all, .images = {}, .sample_ids = {}, .labels = {}};
  const std::int64_t n = all.shape(0) / count;
  for (int v = 0; v < count; ++v) views.images.push_back(all.rows(v * n, n));
  return views;
}

RegisterMethod::RegisterMethod(MethodInfo info) {
  const std::string name = info.name;
  check(registry().emplace(name, std::move(info)).second, "method ", name, " is registered twice");
}

const MethodInfo& method_info(std::string_view name) {
  const auto found = registry().find(name);
  if (found != registry().end()) return found->second;
  throw InputError(text("unknown method '", name, '\'', did_you_mean(name, method_names())));
}

std::vector<std::string> method_names() {
  std::vector<std::string> names;
  for (const auto& [name, info] : registry()) names.push_back(name);
  return names;
}

}  // namespace kagami
