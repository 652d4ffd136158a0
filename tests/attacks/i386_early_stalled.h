// A madvise by int 0x80 since before libmseal starts in a program.
#pragma once

#include "tests/attacks/stalled_discard.h"

libmseal::tests::StalledDiscard& early_discard();
