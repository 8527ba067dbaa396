# cmake -DPROGRAM=kernels_vs_vendor -P refused_arguments.cmake
# What cannot be measured is refused in one line that names the option, with exit code 2, on any machine.
foreach(arguments
        "--matmul 3e9,4,4" "--matmul 3000000000,4,4" "--matmul 0,4,4" "--matmul -1,4,4" "--matmul 4,4" "--matmul 4,,4"
        "--conv 2.7,7,7,16,24,3,3,1,1" "--conv 2,7,7,16,24,3,3,0,1" "--conv 2,7,7,16,24,3,3,1,-1" "--conv 2,1,1,16,24,3,3,1,0"
        "--bn 2,8,8,1e2" "--bn 1,1,1,16" "--rounds 0" "--rounds 1.5" "--device -1" "--peak 1,2,nan" "--dtype f64" "--matmul")
  separate_arguments(words UNIX_COMMAND "${arguments}")
  list(GET words 0 option)
  execute_process(COMMAND ${PROGRAM} ${words} RESULT_VARIABLE code OUTPUT_QUIET ERROR_VARIABLE said)
  if(NOT code EQUAL 2 OR NOT said MATCHES "^kernels_vs_vendor: ${option} [^\n]*\n$")
    message(SEND_ERROR "${arguments}: exit code ${code}, it said: ${said}")
  endif()
endforeach()
