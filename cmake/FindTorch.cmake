# FindTorch: LibTorch from Torch_DIR, $VIRTUAL_ENV, .venv or python3, in the order of scripts/find_torch.sh. Gives the target `torch` and
# TORCH_INCLUDE_DIRS.
#
# LibTorch's own TorchConfig.cmake is not used: with a CUDA build of LibTorch, which is what pip installs by default,
# it stops on a machine without the CUDA Toolkit, though nothing here includes a CUDA header.
set(Torch_DIR "" CACHE PATH "Folder of LibTorch, or the share/cmake/Torch in it")
execute_process(
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/../scripts/find_torch.sh ${Torch_DIR}
  OUTPUT_VARIABLE _torch_prefix OUTPUT_STRIP_TRAILING_WHITESPACE)

set(TORCH_INCLUDE_DIRS "")
if(_torch_prefix)
  set(TORCH_INCLUDE_DIRS ${_torch_prefix}/include ${_torch_prefix}/include/torch/csrc/api/include)
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Torch REQUIRED_VARS _torch_prefix TORCH_INCLUDE_DIRS
  REASON_FAILURE_MESSAGE "run scripts/setup.sh test torch, set Torch_DIR, or configure with -DVQCODEC_WITH_TORCH=OFF")

if(Torch_FOUND AND NOT TARGET torch)
  add_library(torch INTERFACE IMPORTED GLOBAL)
  target_include_directories(torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
  # libtorch.so holds no symbol of its own; loading it is what brings in CUDA where that is built.
  target_link_libraries(torch INTERFACE
    "-Wl,--no-as-needed,${_torch_prefix}/lib/libtorch.so,--as-needed"
    ${_torch_prefix}/lib/libtorch_cpu.so ${_torch_prefix}/lib/libc10.so Threads::Threads)
endif()
