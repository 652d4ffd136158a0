// An aio ring of a program since before libmseal starts in it.
#pragma once

#include "policy/rules/range.h"

libmseal::policy::Range early_aio_ring();
