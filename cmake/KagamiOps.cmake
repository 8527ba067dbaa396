# kagami_add_ops(target file.cu ...): adds op files to a target in the language and with the flags of this build.
# nvcc compiles them in a build with CUDA. Without, an op file is plain C++, also where CUDA is emulated.
function(kagami_add_ops target)
  if(KAGAMI_CUDA STREQUAL on)
    set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CUDA)
    set_target_properties(${target} PROPERTIES CUDA_STANDARD 20)  # of a target made before Kagami was found too
  else()
    set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-xc++")
  endif()
  target_sources(${target} PRIVATE ${ARGN})
endfunction()
