// How the machine differs for the library.
#pragma once

namespace libmseal::tests {

// Whether the supervisor decides about a program's text and nearly everything else, wherever it lies:
// randomisation moves images by little there. Its answers may be others than those of filters: it also
// refuses what a process does that shares the memory.
#ifdef __x86_64__
inline constexpr bool kTextIsWatched = false;
#else
inline constexpr bool kTextIsWatched = true;
#endif

}  // namespace libmseal::tests
