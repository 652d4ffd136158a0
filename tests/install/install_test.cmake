# Installs into an empty folder, looks for the man pages and headers, builds a consumer against what is there, and runs
# it: the library must find its supervisor.
file(REMOVE_RECURSE ${WORK})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
foreach(page IN ITEMS man1/mseal.1 man3/libmseal.3 man5/libmseal-policy.5 man7/libmseal.7)
  if(NOT EXISTS ${WORK}/prefix/share/man/${page})
    message(FATAL_ERROR "share/man/${page} is not installed")
  endif()
endforeach()
file(GLOB headers RELATIVE ${WORK}/prefix/include/mseal ${WORK}/prefix/include/mseal/*)
if(NOT headers STREQUAL "mseal.h;mutable.h;sealed_region.hpp")
  message(FATAL_ERROR "installed as headers: ${headers}")
endif()
execute_process(COMMAND ${CMAKE_COMMAND} -S ${SOURCE}/consumer -B ${WORK}/consumer
                        -DCMAKE_PREFIX_PATH=${WORK}/prefix -DPROGRAM=${SOURCE}/../../examples/seal_own_memory.c
                OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${WORK}/consumer OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} -E env MSEAL_OPTIONS=backend=seccomp,require=seccomp ${WORK}/consumer/consumer
                OUTPUT_VARIABLE said ERROR_VARIABLE complained COMMAND_ERROR_IS_FATAL ANY)
if(NOT said MATCHES "sealed page: Operation not permitted" OR NOT complained STREQUAL "")
  message(FATAL_ERROR "the installed library did not seal: ${said}${complained}")
endif()
