# Installs into an empty folder, builds a consumer against what is there, and runs it: the library must find its helper.
file(REMOVE_RECURSE ${WORK})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} -S ${SOURCE}/consumer -B ${WORK}/consumer
                        -DCMAKE_PREFIX_PATH=${WORK}/prefix -DPROGRAM=${SOURCE}/../../examples/seal_own_memory.c
                OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${WORK}/consumer OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} -E env MSEAL_OPTIONS=backend=seccomp,require=seccomp ${WORK}/consumer/consumer
                OUTPUT_VARIABLE said ERROR_VARIABLE complained COMMAND_ERROR_IS_FATAL ANY)
if(NOT said MATCHES "sealed page: Operation not permitted" OR NOT complained STREQUAL "")
  message(FATAL_ERROR "the installed library did not seal: ${said}${complained}")
endif()
