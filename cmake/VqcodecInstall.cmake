# Installation: programs, libraries with headers, find_package(vqcodec), pkg-config and the models; packages by CPack.
include(CMakePackageConfigHelpers)

# Folders whose libraries others may link. Training and evaluation stay inside.
set(public_libraries base audio codec runtime vqvae prior generate)

foreach(library ${public_libraries})
  install(TARGETS vqcodec_${library} EXPORT vqcodec-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${library} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/vqcodec
    FILES_MATCHING PATTERN "*.h" PATTERN "train" EXCLUDE PATTERN "*_impl.h" EXCLUDE)
endforeach()
install(EXPORT vqcodec-targets NAMESPACE vqcodec:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/vqcodec)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/vqcodec-config.cmake.in ${PROJECT_BINARY_DIR}/vqcodec-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/vqcodec NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/vqcodec-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/vqcodec-config.cmake ${PROJECT_BINARY_DIR}/vqcodec-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/vqcodec)

# Where pkg-config finds the prefix, seen from the folder of the .pc file.
file(RELATIVE_PATH PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${CMAKE_CURRENT_LIST_DIR}/vqcodec.pc.in ${PROJECT_BINARY_DIR}/vqcodec.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/vqcodec.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

foreach(program vqcodec vqdata vqeval vqgen vqtrain)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()
if(TARGET vqtrain)
  set_target_properties(vqtrain PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON) # LibTorch may be anywhere.
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/vqcodec/models
  FILES_MATCHING PATTERN "*.safetensors" PATTERN "*.md" PATTERN "*.json"
  PATTERN "masks.safetensors" EXCLUDE) # a beginning for vqtrain, no codec
install(DIRECTORY ${PROJECT_SOURCE_DIR}/configs DESTINATION ${CMAKE_INSTALL_DATADIR}/vqcodec FILES_MATCHING PATTERN "*.json")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/codec/FORMAT.md
  DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(CPACK_GENERATOR TGZ DEB)
set(CPACK_PACKAGE_VENDOR "the vqcodec contributors")
set(CPACK_PACKAGE_CONTACT "the vqcodec contributors <vqcodec@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION sound)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
include(CPack)
