/* SPDX-License-Identifier: MIT */
/* cxx.c - stands for the tests in C++ where there is no compiler for them. */
#include "tests/harness.h"

TEST_PLAIN(exceptions_and_forms_of_cxx)
{
    SKIP(WHY);
}
