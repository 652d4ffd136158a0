# Installs into an empty folder, where all that belongs there must be and nothing else; builds a program against it by
# find_package, by pkg-config and by hand, and runs it: the library must find its supervisor. LIBDIR is lib or the like.
file(REMOVE_RECURSE ${WORK})
set(prefix ${WORK}/prefix)
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
set(wanted
  bin/mseal
  etc/apparmor.d/abstractions/libmseal
  include/mseal/mseal.h include/mseal/mutable.h include/mseal/sealed_region.hpp
  ${LIBDIR}/cmake/libmseal/libmseal-config-version.cmake ${LIBDIR}/cmake/libmseal/libmseal-config.cmake
  ${LIBDIR}/libmseal.so ${LIBDIR}/libmseal.so.0
  ${LIBDIR}/pkgconfig/libmseal.pc
  libexec/libmseal/mseal-supervisor
  share/bash-completion/completions/mseal
  share/doc/libmseal/CHANGELOG.md share/doc/libmseal/LICENSE
  share/doc/libmseal/libmseal.spdx.json
  share/fish/vendor_completions.d/mseal.fish
  share/man/man1/mseal.1 share/man/man3/libmseal.3 share/man/man5/libmseal-policy.5 share/man/man7/libmseal.7
  share/man/man7/libmseal-attacks.7 share/man/man7/libmseal-containers.7
  share/man/man7/libmseal-internals.7 share/man/man7/libmseal-limits.7
  share/man/man7/libmseal-services.7 share/man/man7/libmseal-tests.7
  share/zsh/site-functions/_mseal)
foreach(example IN ITEMS containers/Dockerfile containers/Dockerfile.dockerignore containers/compose.yaml containers/pod.yaml
                         containers/seccomp-fragment.json frozen_settings.c go/demo/main.go go/go.mod go/mseal.go jit.c policy.toml
                         python/mseal.py python/sealed_table.py rust/Cargo.toml rust/examples/sealed_table.rs rust/src/lib.rs
                         seal_own_memory.c sealed_region.cpp systemd/hardened.conf systemd/mseal-events.service
                         systemd/mseal-events.socket systemd/plain.conf)
  list(APPEND wanted share/doc/libmseal/examples/${example})
endforeach()
file(GLOB_RECURSE installed RELATIVE ${prefix} ${prefix}/*)
list(FILTER installed EXCLUDE REGEX "libmseal-config-[a-z]+info\\.cmake$|libmseal-config-(debug|release|noconfig)\\.cmake$")
list(SORT wanted)
list(SORT installed)
if(NOT installed STREQUAL wanted)
  message(FATAL_ERROR "installed: ${installed}\nwanted: ${wanted}")
endif()

# One version everywhere.
execute_process(COMMAND ${prefix}/bin/mseal --version OUTPUT_VARIABLE said COMMAND_ERROR_IS_FATAL ANY)
if(NOT said MATCHES "^mseal ${VERSION},")
  message(FATAL_ERROR "mseal --version is not of ${VERSION}: ${said}")
endif()

set(options MSEAL_OPTIONS=policy=none,backend=supervised,require=supervised)
function(must_seal program)
  execute_process(COMMAND ${CMAKE_COMMAND} -E env ${options} ${ARGN} ${program}
                  OUTPUT_VARIABLE said ERROR_VARIABLE complained COMMAND_ERROR_IS_FATAL ANY)
  if(NOT said MATCHES "sealed page: Operation not permitted" OR NOT complained STREQUAL "")
    message(FATAL_ERROR "${program} with the installed library did not seal: ${said}${complained}")
  endif()
endfunction()

execute_process(COMMAND ${CMAKE_COMMAND} -S ${SOURCE}/consumer -B ${WORK}/consumer -DCMAKE_PREFIX_PATH=${prefix}
                        -DPROGRAM=${PROGRAM} -DVERSION=${VERSION}
                OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${WORK}/consumer OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
must_seal(${WORK}/consumer/consumer)

# Both find it at run time where they are told to, or by the plain name, as LD_PRELOAD has it.
set(search LD_LIBRARY_PATH=${prefix}/${LIBDIR})
execute_process(COMMAND ${CC} ${PROGRAM} -I${prefix}/include -L${prefix}/${LIBDIR} -lmseal -o ${WORK}/by_hand
                COMMAND_ERROR_IS_FATAL ANY)
must_seal(${WORK}/by_hand ${search})
must_seal(${WORK}/by_hand ${search} LD_PRELOAD=libmseal.so)
execute_process(COMMAND ${CMAKE_COMMAND} -E env ${search} LD_PRELOAD=libmseal.so ${options} /bin/cat /proc/self/maps
                OUTPUT_VARIABLE maps ERROR_VARIABLE complained COMMAND_ERROR_IS_FATAL ANY)
if(NOT maps MATCHES "/libmseal\\.so\\.0\n" OR NOT complained STREQUAL "")
  message(FATAL_ERROR "LD_PRELOAD=libmseal.so did not load it: ${complained}")
endif()

find_program(PKG_CONFIG NAMES pkg-config pkgconf)
if(NOT PKG_CONFIG)
  message("skipped: pkg-config is missing")
  if("$ENV{MSEAL_TESTS_MUST_RUN}" STREQUAL 1)
    message(FATAL_ERROR "and must not be")
  endif()
  return()
endif()
set(ask ${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${prefix}/${LIBDIR}/pkgconfig ${PKG_CONFIG})
execute_process(COMMAND ${ask} --modversion libmseal OUTPUT_VARIABLE said OUTPUT_STRIP_TRAILING_WHITESPACE
                COMMAND_ERROR_IS_FATAL ANY)
if(NOT said STREQUAL VERSION)
  message(FATAL_ERROR "pkg-config knows version ${said}, not ${VERSION}")
endif()
execute_process(COMMAND ${ask} --cflags --libs libmseal OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE
                COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(flags)
execute_process(COMMAND ${CC} ${PROGRAM} ${flags} -o ${WORK}/by_pkg_config COMMAND_ERROR_IS_FATAL ANY)
must_seal(${WORK}/by_pkg_config ${search})
