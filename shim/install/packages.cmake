# Debian packages: `cmake --workflow --preset package`, or cpack -G DEB in any build of one whose prefix is /usr.
#   libmseal0     the library as libmseal.so.0 and, for LD_PRELOAD, as libmseal.so; the supervisor
#   libmseal-dev  headers and the like
#   mseal         the tool
set(LIBMSEAL_MAINTAINER "The libmseal maintainers <maintainers@libmseal.example>" CACHE STRING
    "Name and address of who makes the packages")
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME libmseal)
set(CPACK_PACKAGE_VENDOR libmseal)
set(CPACK_PACKAGE_CONTACT ${LIBMSEAL_MAINTAINER})
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)

get_target_property(soversion mseal SOVERSION)
set(runtime libmseal${soversion})
set(same_version "${runtime} (= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})")
string(TOUPPER ${runtime} RUNTIME)
set(CPACK_DEBIAN_${RUNTIME}_PACKAGE_NAME ${runtime})
set(CPACK_DEBIAN_${RUNTIME}_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_${RUNTIME}_PACKAGE_SUGGESTS mseal)
# Set by hand: the supervisor is static, and dpkg-shlibdeps would require a newer libc for the library because of sysconf.
# tests/install checks the 2.28.
set(CPACK_DEBIAN_${RUNTIME}_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_${RUNTIME}_PACKAGE_DEPENDS "libc6 (>= 2.28)")
set(folder ${CMAKE_CURRENT_BINARY_DIR}/debian)
file(WRITE ${folder}/shlibs "libmseal ${soversion} ${runtime} (>= ${PROJECT_VERSION})\n")
file(WRITE ${folder}/triggers "activate-noawait ldconfig\n")
set(abstractions /etc/apparmor.d/abstractions)
file(WRITE ${folder}/conffiles "${abstractions}/libmseal\n")
# Takes the package's own files out of /etc/ld.so.preload: `mseal system disable` may be gone already.
set(own_path ${CPACK_PACKAGING_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/libmseal.so)
file(CONFIGURE OUTPUT ${folder}/prerm @ONLY CONTENT [=[
#!/bin/sh
set -e
list=/etc/ld.so.preload
if [ "$1" = remove ] && grep -qs '@own_path@' $list; then
  # Or the dynamic linker would print an error at the start of each program.
  kept=$(awk '{
    at = index($0, "#")
    rest = at ? substr($0, at) : ""
    count = split(at ? substr($0, 1, at - 1) : $0, words, /[ \t:]+/)
    kept = ""
    found = 0
    for (i = 1; i <= count; i++) {
      if (words[i] == "@own_path@" || words[i] == "@own_path@.@soversion@") found = 1
      else if (words[i] != "") kept = kept (kept == "" ? "" : " ") words[i]
    }
    if (!found) print
    else if (kept rest != "") print kept rest
  }' $list)
  if [ -n "$kept" ]; then
    printf '%s\n' "$kept" >$list.libmseal
    chmod 644 $list.libmseal
    mv $list.libmseal $list
  else
    rm $list
  fi
  echo "$list no longer names libmseal.so"
fi
]=])
file(CHMOD ${folder}/prerm PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_${RUNTIME}_PACKAGE_CONTROL_EXTRA ${folder}/shlibs ${folder}/triggers ${folder}/conffiles ${folder}/prerm)
set(CPACK_DEBIAN_${RUNTIME}_DESCRIPTION "mseal(2) on kernels that have none
libmseal protects the memory layout of a program: no code in the process can
unmap, move, replace or re-protect a sealed mapping until the process exits or
executes another program. Linux has this since 6.10 as mseal(2); libmseal
provides it from 5.10 on, enforced by the kernel's seccomp filters.
.
Run unmodified programs under LD_PRELOAD=libmseal.so, or link with -lmseal.")
set(CPACK_DEBIAN_LIBMSEAL-DEV_PACKAGE_NAME libmseal-dev)
set(CPACK_DEBIAN_LIBMSEAL-DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_LIBMSEAL-DEV_PACKAGE_DEPENDS ${same_version})
set(CPACK_DEBIAN_LIBMSEAL-DEV_DESCRIPTION "mseal(2) on kernels that have none - development files
Headers, pkg-config and CMake files, examples and libmseal(3), to build
programs that seal their own memory on every kernel since Linux 5.10.")
set(CPACK_DEBIAN_MSEAL_PACKAGE_NAME mseal)
set(CPACK_DEBIAN_MSEAL_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_MSEAL_PACKAGE_DEPENDS ${same_version})
if(LIBMSEAL_OLD_GLIBC)  # dpkg-shlibdeps would require the library versions of this machine
  set(CPACK_DEBIAN_MSEAL_PACKAGE_SHLIBDEPS OFF)
  set(CPACK_DEBIAN_MSEAL_PACKAGE_DEPENDS
      "${same_version}, libc6 (>= 2.28), libdw1 (>= 0.158), libelf1 (>= 0.144), libgcc-s1 (>= 4.2)")
endif()
set(CPACK_DEBIAN_MSEAL_DESCRIPTION "runs programs with sealed memory mappings
The tool of libmseal: runs unmodified programs with sealed mappings, on every
kernel since Linux 5.10; says what this machine's kernel offers, what of a
process is sealed, and, after an audit, what would have been refused.")

# What Debian requires in every package.
find_program(GZIP gzip)
find_program(DATE date)
if(NOT GZIP OR NOT DATE)
  return()
endif()
configure_file(${PROJECT_SOURCE_DIR}/.github/CHANGELOG.md ${folder}/changelog COPYONLY)
execute_process(COMMAND ${CMAKE_COMMAND} -E env LC_ALL=C ${DATE} --utc --date ${LIBMSEAL_DATE} "+%a, %d %b %Y %T +0000"
                OUTPUT_VARIABLE date OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
file(WRITE ${folder}/changelog.Debian
"libmseal (${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}) unstable; urgency=medium

  * Version ${PROJECT_VERSION}; its changes are in changelog.gz.

 -- ${LIBMSEAL_MAINTAINER}  ${date}
")
execute_process(COMMAND ${GZIP} --force --no-name -9 ${folder}/changelog ${folder}/changelog.Debian
                COMMAND_ERROR_IS_FATAL ANY)
file(READ ${PROJECT_SOURCE_DIR}/LICENSE licence)
string(REGEX REPLACE "^.*Copyright \\(c\\) ([^\n]*)\n\n(.*)\n$" "\\1" copyright "${licence}")
string(REGEX REPLACE "^.*Copyright \\(c\\) ([^\n]*)\n\n(.*)\n$" "\\2" licence "${licence}")
string(REPLACE "\n\n" "\n.\n" licence "${licence}")
string(REPLACE "\n" "\n " licence " ${licence}")
file(WRITE ${folder}/copyright
"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: libmseal
Comment: mseal-supervisor is linked statically. What is in it, with versions and
 licences, is listed in libmseal.spdx.json of the package ${runtime}.

Files: *
Copyright: ${copyright}
License: Expat

License: Expat
${licence}
")

# Intended deviations that lintian reports.
file(WRITE ${folder}/${runtime}.overrides
"# Made by the project itself, not for Debian's archive, where a first upload closes a bug.
${runtime}: initial-upload-closes-no-bugs
# LD_PRELOAD=libmseal.so must work without the development package.
${runtime}: link-to-shared-library-in-wrong-package *libmseal.so*
# Static on purpose: it is started with every process tree, and the dynamic linker would take most of that time.
${runtime}: shared-library-lacks-prerequisites *mseal-supervisor*
")
foreach(name IN ITEMS libmseal-dev mseal)
  file(WRITE ${folder}/${name}.overrides
"# Made by the project itself, not for Debian's archive, where a first upload closes a bug.
${name}: initial-upload-closes-no-bugs
")
endforeach()

# Our components, each with files that only Debian packages need.
include(CPackComponent)
macro(add_package name component)  # CPack's settings must reach the scope that includes it
  cpack_add_component_group(${name})
  cpack_add_component(${component} GROUP ${name})
  cpack_add_component(${component}-debian GROUP ${name})
  set(documents ${CMAKE_INSTALL_DATADIR}/doc/${name})
  install(FILES ${folder}/copyright ${folder}/changelog.gz ${folder}/changelog.Debian.gz DESTINATION ${documents}
          COMPONENT ${component}-debian EXCLUDE_FROM_ALL)
  install(FILES ${folder}/${name}.overrides DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides RENAME ${name}
          COMPONENT ${component}-debian EXCLUDE_FROM_ALL)
  foreach(page IN LISTS pages_of_${component})
    get_filename_component(page_name ${page} NAME)
    string(REGEX REPLACE "^.*\\." "man" page_folder ${page_name})
    configure_file(${page} ${folder}/${page_name} COPYONLY)
    execute_process(COMMAND ${GZIP} --force --no-name -9 ${folder}/${page_name} COMMAND_ERROR_IS_FATAL ANY)
    install(FILES ${folder}/${page_name}.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/${page_folder}
            COMPONENT ${component}-debian EXCLUDE_FROM_ALL)
  endforeach()
endmacro()
add_package(${runtime} runtime)
install(FILES ${LIBMSEAL_SBOM} DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${runtime}
        COMPONENT runtime-debian EXCLUDE_FROM_ALL)
install(FILES ${example_policy} DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${runtime}/examples
        COMPONENT runtime-debian EXCLUDE_FROM_ALL)
install(DIRECTORY ${example_containers} DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${runtime}/examples
        COMPONENT runtime-debian EXCLUDE_FROM_ALL)
write_abstraction(${CPACK_PACKAGING_INSTALL_PREFIX} ${folder}/apparmor/libmseal)
install(FILES ${folder}/apparmor/libmseal DESTINATION ${abstractions} COMPONENT runtime-debian EXCLUDE_FROM_ALL)
add_package(libmseal-dev development)
install(FILES ${example_programs} DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libmseal-dev/examples
        COMPONENT development-debian EXCLUDE_FROM_ALL)
install(DIRECTORY ${example_folders} DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libmseal-dev/examples
        COMPONENT development-debian EXCLUDE_FROM_ALL PATTERN __pycache__ EXCLUDE PATTERN target EXCLUDE)
set(CPACK_COMPONENTS_ALL runtime runtime-debian development development-debian)
if(TARGET mseal-tool)
  add_package(mseal tool)
  install(DIRECTORY ${drop_ins} DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/mseal/examples COMPONENT tool-debian
          EXCLUDE_FROM_ALL)
  install(FILES ${sources}/tool/mseal.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions RENAME _mseal
          COMPONENT tool-debian EXCLUDE_FROM_ALL)
  list(APPEND CPACK_COMPONENTS_ALL tool tool-debian)
endif()
include(CPack)
