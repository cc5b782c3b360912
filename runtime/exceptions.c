/* SPDX-License-Identifier: MIT */
/* exceptions.c - is there C++ in this program? */
#include "runtime/exceptions.h"

#ifdef __APPLE__

#include <dlfcn.h>

/* The linker there takes a weak reference for a missing library. */
struct wf_exceptions *wf_exceptions_here(void)
{
    struct wf_exceptions *(*find)(void);
    void *symbol = dlsym(RTLD_DEFAULT, "__cxa_get_globals");
    if (!symbol) return NULL;
    *(void **)&find = symbol;
    return find();
}

#else

/* Links nothing in: a program has it if something else throws or catches. The
 * name is that of the ABI. */
/* NOLINTNEXTLINE(bugprone-reserved-identifier) */
extern struct wf_exceptions *__cxa_get_globals(void) __attribute__((weak));

struct wf_exceptions *wf_exceptions_here(void)
{
    return __cxa_get_globals ? __cxa_get_globals() : NULL;
}

#endif
