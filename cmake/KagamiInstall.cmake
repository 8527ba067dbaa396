# cmake --install: libraries, headers, the program, recipes, and what find_package(Kagami) reads.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(kagami_package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/Kagami)
set(kagami_libraries kagami_flags)
foreach(layer kernels engine models ssl)
  if(TARGET kagami_${layer})
    set_target_properties(kagami_${layer} PROPERTIES EXPORT_NAME ${layer})
    list(APPEND kagami_libraries kagami_${layer})
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/${layer} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/kagami
            FILES_MATCHING PATTERN "*.h" PATTERN "*.cuh")
  endif()
endforeach()
install(TARGETS ${kagami_libraries} EXPORT KagamiTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        OBJECTS DESTINATION ${CMAKE_INSTALL_LIBDIR}/kagami)
install(EXPORT KagamiTargets NAMESPACE Kagami:: DESTINATION ${kagami_package_folder})

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/KagamiConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/KagamiConfig.cmake INSTALL_DESTINATION ${kagami_package_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/KagamiConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/KagamiConfig.cmake ${PROJECT_BINARY_DIR}/KagamiConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/cmake/KagamiCuda.cmake ${PROJECT_SOURCE_DIR}/cmake/KagamiOps.cmake
        DESTINATION ${kagami_package_folder})

install(TARGETS kagami_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/apps/recipes DESTINATION ${CMAKE_INSTALL_DATADIR}/kagami)
