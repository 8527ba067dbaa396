#pragma once
// Ctrl-C and SIGTERM: the first one asks the run to stop after its step, the second stops at once.
#include <atomic>

namespace kagami::apps {

/// Handles SIGINT and SIGTERM until the process ends; becomes true when one comes.
const std::atomic<bool>& watch_for_interruption();
/// The signal that came, or 0.
int interruption();
/// What a full disk or a closed pipe does to any command: an error code where it happens, not a signal.
void ignore_write_signals();

}  // namespace kagami::apps
