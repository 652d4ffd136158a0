# Writes libmseal.spdx.json (SPDX 2.3): what each of the three programs contains or loads, with the versions that this build
# found. LIBMSEAL_SBOM is the file, LIBMSEAL_DATE the date of this version, by CHANGELOG.md or SOURCE_DATE_EPOCH.
file(STRINGS ${PROJECT_SOURCE_DIR}/.github/CHANGELOG.md heading REGEX "^## \\[${PROJECT_VERSION}\\] - [0-9-]+$")
if(NOT heading MATCHES " - ([0-9]+-[0-9]+-[0-9]+)$")
  message(FATAL_ERROR ".github/CHANGELOG.md has no line \"## [${PROJECT_VERSION}] - YEAR-MONTH-DAY\"")
endif()
set(LIBMSEAL_DATE ${CMAKE_MATCH_1}T00:00:00Z)
if(DEFINED ENV{SOURCE_DATE_EPOCH})
  string(TIMESTAMP LIBMSEAL_DATE "%Y-%m-%dT%H:%M:%SZ" UTC)
endif()

# Reads the versions in headers, with the preprocessor.
set(question ${CMAKE_CURRENT_BINARY_DIR}/versions.cpp)
file(WRITE ${question} "
#include <cstddef>
#include <features.h>
#include <boost/version.hpp>
#if __has_include(<toml++/impl/version.h>)
#include <toml++/impl/version.h>
#else
#include <toml++/toml.h>
#endif
#if __has_include(<elfutils/version.h>)
#include <elfutils/version.h>
#endif
glibc=__GLIBC__.__GLIBC_MINOR__
gcc=_GLIBCXX_RELEASE
boost=BOOST_LIB_VERSION
tomlplusplus=TOML_LIB_MAJOR.TOML_LIB_MINOR.TOML_LIB_PATCH
elfutils=_ELFUTILS_VERSION
")
set(includes "")
foreach(directory IN LISTS BOOST_INTERPROCESS_INCLUDE_DIR TOMLPLUSPLUS_INCLUDE_DIR)
  list(APPEND includes -idirafter ${directory})
endforeach()
execute_process(COMMAND ${CMAKE_CXX_COMPILER} -std=c++20 ${includes} -E -P ${question}
                OUTPUT_VARIABLE answers COMMAND_ERROR_IS_FATAL ANY)
string(REGEX REPLACE "[ \"]" "" answers "${answers}")
foreach(one IN ITEMS glibc gcc boost tomlplusplus elfutils)
  string(REGEX MATCH "(^|\n)${one}=([0-9._]+)\n" found "${answers}")
  string(REPLACE "_" "." version_of_${one} "${CMAKE_MATCH_2}")
endforeach()
if(version_of_elfutils)
  string(PREPEND version_of_elfutils "0.")
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set(version_of_gcc ${CMAKE_CXX_COMPILER_VERSION})
endif()
file(STRINGS ${SECCOMP_INCLUDE_DIR}/seccomp.h lines REGEX "#define SCMP_VER_(MAJOR|MINOR|MICRO)")
string(REGEX REPLACE "[^;0-9]" "" lines "${lines}")
list(JOIN lines "." version_of_libseccomp)
set(version_of_spdlog ${spdlog_VERSION})
set(version_of_fmt ${fmt_VERSION})
set(version_of_CLI11 ${CLI11_VERSION})
set(version_of_nlohmann_json ${nlohmann_json_VERSION})

set(elements "")
set(relationships "")
function(add_relationship from what to)
  string(APPEND relationships
    ",\n    {\"spdxElementId\": \"SPDXRef-${from}\", \"relationshipType\": \"${what}\", \"relatedSpdxElement\": \"SPDXRef-${to}\"}")
  set(relationships "${relationships}" PARENT_SCOPE)
endfunction()
function(add_element name version licence)
  string(APPEND elements ",
    {
      \"SPDXID\": \"SPDXRef-${name}\",
      \"name\": \"${name}\",
      \"versionInfo\": \"${version}\",
      \"downloadLocation\": \"NOASSERTION\",
      \"filesAnalyzed\": false,
      \"licenseConcluded\": \"${licence}\",
      \"licenseDeclared\": \"${licence}\",
      \"copyrightText\": \"NOASSERTION\"
    }")
  set(elements "${elements}" PARENT_SCOPE)
endfunction()
# A third-party component. `users` are pairs of one of our programs and how it uses the component.
function(add_third_party name id licence)
  set(version ${version_of_${id}})
  if(NOT version)
    set(version NOASSERTION)
  endif()
  add_element(${name} ${version} "${licence}")
  set(users ${ARGN})
  while(users)
    list(POP_FRONT users user how)
    if(user STREQUAL "mseal" AND NOT TARGET mseal-tool)
      continue()
    endif()
    if(how STREQUAL "BUILD_TOOL_OF")
      add_relationship(${name} ${how} ${user})
    else()
      add_relationship(${user} ${how} ${name})
    endif()
  endwhile()
  set(elements "${elements}" PARENT_SCOPE)
  set(relationships "${relationships}" PARENT_SCOPE)
endfunction()

set(programs libmseal.so mseal-supervisor)
if(TARGET mseal-tool)
  list(APPEND programs mseal)
endif()
add_element(libmseal ${PROJECT_VERSION} MIT)
foreach(program IN LISTS programs)
  add_element(${program} ${PROJECT_VERSION} MIT)
  add_relationship(libmseal CONTAINS ${program})
endforeach()
set(runtime_licence "GPL-3.0-or-later WITH GCC-exception-3.1")
add_third_party(glibc glibc "LGPL-2.1-or-later"
                libmseal.so DYNAMIC_LINK mseal-supervisor STATIC_LINK mseal DYNAMIC_LINK)
add_third_party(libgcc gcc "${runtime_licence}"
                libmseal.so STATIC_LINK mseal-supervisor STATIC_LINK mseal DYNAMIC_LINK)
set(how DYNAMIC_LINK)
if(LIBMSEAL_OLD_GLIBC)
  set(how STATIC_LINK)
endif()
add_third_party(libstdc++ gcc "${runtime_licence}" mseal-supervisor STATIC_LINK mseal ${how})
add_third_party(boost-interprocess boost "BSL-1.0" libmseal.so STATIC_LINK mseal-supervisor STATIC_LINK)
add_third_party(spdlog spdlog "MIT" mseal-supervisor STATIC_LINK)
add_third_party(fmt fmt "MIT" mseal-supervisor STATIC_LINK)
add_third_party(tomlplusplus tomlplusplus "MIT" mseal-supervisor STATIC_LINK mseal STATIC_LINK)
add_third_party(libseccomp libseccomp "LGPL-2.1-only" libmseal.so BUILD_TOOL_OF mseal-supervisor BUILD_TOOL_OF)
if(TARGET mseal-tool)
  add_third_party(CLI11 CLI11 "BSD-3-Clause" mseal STATIC_LINK)
  add_third_party(nlohmann-json nlohmann_json "MIT" mseal STATIC_LINK)
  add_third_party(elfutils elfutils "LGPL-3.0-or-later OR GPL-2.0-or-later" mseal DYNAMIC_LINK)
endif()
string(REGEX REPLACE "^,\n" "" elements "${elements}")
# A unique but reproducible document name.
string(SHA256 digest "${elements}${relationships}${LIBMSEAL_DATE}")
set(LIBMSEAL_SBOM ${CMAKE_CURRENT_BINARY_DIR}/libmseal.spdx.json CACHE INTERNAL "")
file(WRITE ${LIBMSEAL_SBOM} "{
  \"spdxVersion\": \"SPDX-2.3\",
  \"dataLicense\": \"CC0-1.0\",
  \"SPDXID\": \"SPDXRef-DOCUMENT\",
  \"name\": \"libmseal-${PROJECT_VERSION}\",
  \"documentNamespace\": \"urn:libmseal:spdx:${PROJECT_VERSION}:${digest}\",
  \"creationInfo\": {\"created\": \"${LIBMSEAL_DATE}\", \"creators\": [\"Tool: libmseal's build\"]},
  \"packages\": [
${elements}
  ],
  \"relationships\": [
    {\"spdxElementId\": \"SPDXRef-DOCUMENT\", \"relationshipType\": \"DESCRIBES\", \"relatedSpdxElement\": \"SPDXRef-libmseal\"}${relationships}
  ]
}
")
