#include "engine/work.h"

namespace kagami {
namespace {

thread_local std::string last_op, backward_op;

}  // namespace

std::string current_work() {
  if (!backward_op.empty()) return "in the backward pass of " + backward_op;
  return last_op.empty() ? "before the first op" : "in or after op " + last_op;
}

void note_op(std::string_view op) { last_op = op; }

BackwardPass::BackwardPass(std::string_view op) { backward_op = op; }
BackwardPass::~BackwardPass() { backward_op.clear(); }

}  // namespace kagami
