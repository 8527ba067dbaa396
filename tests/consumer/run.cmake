# cmake -DBUILD=folder of a built Kagami -DWORK=scratch folder -DGENERATOR=... -DCOMPILER=... -DNVCC=... -P run.cmake
# Installs Kagami, builds this project against it, runs it.
include(${CMAKE_CURRENT_LIST_DIR}/../run_command.cmake)

set(cuda)
if(NVCC)
  set(cuda -DCMAKE_CUDA_COMPILER=${NVCC})
endif()
file(REMOVE_RECURSE ${WORK}/installed)
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/installed)
run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR} -B ${WORK}/build -G ${GENERATOR} -DCMAKE_BUILD_TYPE=Release
    -DCMAKE_PREFIX_PATH=${WORK}/installed -DCMAKE_CXX_COMPILER=${COMPILER} ${cuda})
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${WORK}/build/own_ops)
run(${WORK}/build/mlp)
run(${WORK}/installed/bin/kagami --version)
