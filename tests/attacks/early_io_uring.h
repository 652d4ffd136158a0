// A ring of a program since before libmseal starts in it.
#pragma once

#include "tests/attacks/uring.h"

libmseal::tests::Uring& early_ring();
