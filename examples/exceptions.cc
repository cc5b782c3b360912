/* SPDX-License-Identifier: MIT */
/*
 * exceptions - fibers in C++: three copies of a file are asked for at once, the
 * first good one is taken, and what fails does so by an exception.
 *
 * weft is called from C++ as it is from C. Three rules of weft/fiber.h are
 * shown: a result below 0 becomes an exception where that is handy; an
 * exception is caught in the function of the fiber, and becomes a result again;
 * and what was opened by a call is closed by a destructor, which may wait.
 */
#include <weft.h>

#include <cstdio>
#include <exception>

namespace
{

class failure : public std::exception
{
  public:
    explicit failure(const char *why) : words(why)
    {
    }
    const char *what() const noexcept override
    {
        return words;
    }

  private:
    const char *words;
};

class nursery
{
  public:
    nursery() : thrown(std::uncaught_exceptions())
    {
        if (weft_nursery_open(&n, nullptr) < 0) throw failure("not in a fiber");
    }
    /* An exception is on its way out: the children are not needed any more. */
    ~nursery()
    {
        if (std::uncaught_exceptions() > thrown)
            weft_nursery_cancel(&n, 0, "left by an exception");
        int err = weft_nursery_close(&n, 0);
        std::printf("all have ended: %s\n", err ? weft_strerror(err) : "well");
    }
    nursery(const nursery &) = delete;
    nursery &operator=(const nursery &) = delete;

    template <class T> void start(int (*fn)(void *), T *arg)
    {
        int err = weft_spawn(&n, fn, arg);
        if (err < 0) throw failure(weft_strerror(err));
    }

  private:
    weft_nursery n;
    int thrown;
};

/* To be caught in the function of the fiber, which returns it. */
struct stopped {
    int err;
};

void wait_for(weft_time ns)
{
    int err = weft_sleep(ns);
    if (err < 0) throw stopped{err};
}

class connection
{
  public:
    explicit connection(const char *name) : host(name)
    {
        std::printf("%s: connected\n", host);
    }
    /* It says goodbye, and that takes a moment, also while an exception passes
     * or the fiber is cancelled: other fibers run meanwhile. */
    ~connection()
    {
        int rc;
        WEFT_SHIELD(rc, WEFT_SEC(1))
            rc = weft_sleep(WEFT_MSEC(1));
        std::printf("%s: closed%s\n", host, rc ? ", in a hurry" : "");
    }
    connection(const connection &) = delete;
    connection &operator=(const connection &) = delete;

  private:
    const char *host;
};

struct copy {
    const char *host;
    weft_time takes;
    bool broken, good;
};

void fetch(copy &c)
{
    connection to(c.host);
    wait_for(c.takes);
    if (c.broken) throw failure("checksum does not match");
    c.good = true;
}

/* Nothing is thrown out of here. */
int fetches(void *arg)
{
    copy &c = *static_cast<copy *>(arg);
    try {
        fetch(c);
    } catch (const stopped &s) {
        return s.err;
    } catch (const std::exception &e) {
        /* It may wait here too: the exception is this fiber's own. */
        int err = weft_sleep(WEFT_MSEC(1));
        std::printf("%s: %s\n", c.host, e.what());
        return err;
    }
    return 0;
}

struct found {
    const copy *which;
};

/* Leaves the block as soon as there is one, and so cancels the others. */
void take_the_first(copy *all, std::size_t count)
{
    nursery n;
    for (std::size_t i = 0; i < count; i++)
        n.start(fetches, &all[i]);
    for (;;) {
        wait_for(WEFT_MSEC(1));
        for (std::size_t i = 0; i < count; i++)
            if (all[i].good) throw found{&all[i]};
    }
}

int start(void *)
{
    copy all[] = {{"north", WEFT_MSEC(20), true, false},
                  {"south", WEFT_MSEC(50), false, false},
                  {"west", WEFT_SEC(60), false, false}};
    try {
        take_the_first(all, 3);
    } catch (const found &f) {
        std::printf("taken: the copy of %s\n", f.which->host);
    }
    return 0;
}

} // namespace

int main()
{
    weft_run_opts o = {};
    o.virtual_clock = true; /* nothing here is real, so nobody has to wait */
    return weft_run(start, nullptr, &o) < 0;
}
