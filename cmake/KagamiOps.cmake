# kagami_add_ops(target file.cu ...): adds op files to a target in the language and with the flags of this build.
# Without CUDA an op file is plain C++.
function(kagami_add_ops target)
  set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-xc++")
  target_sources(${target} PRIVATE ${ARGN})
endfunction()
