/* SPDX-License-Identifier: MIT */
/*
 * assert.h - what only a bug can break, and what only a caller's bug can ask.
 *
 * WF_ASSERT stays on in every build; it states a rule of the file it is in.
 * wf_misuse is for a caller who asks for what can't be: the code goes back to
 * him, the sentence becomes weft_last_error(), and a debug build prints it.
 * wf_fatal is for what can neither be undone nor reported by a code.
 */
#ifndef WF_ASSERT_H
#define WF_ASSERT_H

#define WF_ASSERT(cond)                                                        \
    do {                                                                       \
        if (__builtin_expect(!(cond), 0))                                      \
            wf_assert_failed(#cond, __FILE__, __LINE__);                       \
    } while (0)

_Noreturn void wf_assert_failed(const char *cond, const char *file, int line)
    __attribute__((cold));

int wf_misuse(int code, const char *format, ...)
    __attribute__((cold, format(printf, 2, 3)));

/* Nobody's error, but not what was meant: debug builds say it. */
void wf_warn(const char *format, ...)
    __attribute__((cold, format(printf, 1, 2)));

_Noreturn void wf_fatal(const char *format, ...)
    __attribute__((cold, format(printf, 1, 2)));

#endif
