// A ring of a program since before libmseal starts in it, of which only the descriptor is left.
#pragma once

#include <cstdint>

// Where its request discards a page.
inline constexpr std::uint64_t kDiscardedLater = 0x1234'0000'0000;

// Its descriptor, or why there is none.
long early_unmapped_ring();
// Lets the request go on.
void end_wait_of_ring();
