#pragma once
// A shared library opened at run time: the program starts without it.
#include <dlfcn.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace kagami::cuda {

class DynamicLibrary {
 public:
  /// Opens the first of `names` that there is.
  explicit DynamicLibrary(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      handle_ = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (handle_) return;
      if (const char* error = dlerror(); error && why_none_.empty()) why_none_ = error;
    }
  }
  bool found() const { return handle_ != nullptr; }
  const std::string& why_none() const { return why_none_; }

  template <class Function>
  void get(Function*& function, const char* name) const {
    function = reinterpret_cast<Function*>(dlsym(handle_, name));
    if (!function) throw std::runtime_error(std::string(name) + " is not in the library");
  }

 private:
  void* handle_ = nullptr;  // stays open: other libraries keep pointers into it
  std::string why_none_;
};

}  // namespace kagami::cuda
