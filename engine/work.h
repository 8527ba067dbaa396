#pragma once
// What a thread's engine is at, for messages that cannot know otherwise: out of memory, a step that cannot be recorded.
#include <string>
#include <string_view>

namespace kagami {

/// "in or after op conv2d", "in the backward pass of conv2d", or "before the first op".
std::string current_work();
/// An op that begins, or whose output was made.
void note_op(std::string_view op);

/// While one lives, its thread is in the backward pass of this op.
class BackwardPass {
 public:
  explicit BackwardPass(std::string_view op);
  ~BackwardPass();
  BackwardPass(const BackwardPass&) = delete;
  BackwardPass& operator=(const BackwardPass&) = delete;
};

}  // namespace kagami
