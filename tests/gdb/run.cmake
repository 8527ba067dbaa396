# gdb and kernels/emulator/gdb_emulator.py on the tests' kernels: what the README of that folder shows.
execute_process(COMMAND ${GDB} -batch -nx -x ${SOURCE}/kernels/emulator/gdb_emulator.py
                        -x ${CMAKE_CURRENT_LIST_DIR}/commands.gdb ${PROGRAM}
                OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(output MATCHES "ptrace: Operation not permitted")
  message(STATUS "skipped: this machine lets no debugger attach")
  return()
endif()
foreach(part "\\\$1 = 37" "32 threads waiting at __syncthreads [^\n]*defective_kernels.h:[0-9]+: \\[0, 1, 2, 3"
             "threads runnable: \\[37" "#[0-9]+ [^\n]*block_sum[^\n]*defective_kernels.h")
  if(NOT output MATCHES "${part}")
    message(FATAL_ERROR "gdb did not print '${part}':\n${output}")
  endif()
endforeach()
message(STATUS "stopped in one thread, saw the others")
