# Stops in one CUDA thread of a kernel that the emulator runs, shows the others, and where thread 3 waits.
set breakpoint pending off
break block_sum if threadIdx.x == 37
run --gtest_filter=EmulatorDefects.MissingBarriers
print threadIdx.x
emulator threads
emulator bt 3
kill
