/* SPDX-License-Identifier: MIT */
/*
 * dns_files.c - resolv.conf and hosts, as they are now.
 *
 * What was read is one block that lookups hold, so that nothing changes under
 * one that is under way. Once a second at most somebody looks whether the files
 * are still the same, and the others wait for that; if they cannot be read just
 * then, what was read before still counts.
 */
#include "dns_resolver.h"

#include <weft/buffer.h>
#include <weft/time.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_EVERY WEFT_SEC(1)

enum {
    CONF_MOST = 1 << 16, /* octets of a resolv.conf, */
    HOSTS_MOST = 1 << 24 /* and of a hosts */
};

#if defined(__APPLE__)
#define st_mtim st_mtimespec
#endif

static const char *conf_path(const weft_resolver *r)
{
    return r->opts.resolv_conf ? r->opts.resolv_conf : "/etc/resolv.conf";
}

static const char *hosts_path(const weft_resolver *r)
{
    return r->opts.hosts ? r->opts.hosts : "/etc/hosts";
}

static bool is_absent(int err)
{
    return err == -ENOENT || err == -ENOTDIR;
}

/* ---- have they changed --------------------------------------------------- */

/* All zero, if it is not there. */
static int stamp(const char *path, struct wf_dns_stamp *ret)
{
    struct stat st;
    *ret = (struct wf_dns_stamp){0};
    if (!*path) return 0;
    int err = weft_file_stat(path, &st);
    if (err < 0) return is_absent(err) ? 0 : err;
    *ret = (struct wf_dns_stamp){.size = (int64_t)st.st_size,
                                 .inode = (int64_t)st.st_ino,
                                 .seconds = (int64_t)st.st_mtim.tv_sec,
                                 .nanoseconds = (int64_t)st.st_mtim.tv_nsec};
    return 0;
}

static bool is_same(const struct wf_dns_stamp *a, const struct wf_dns_stamp *b)
{
    return a->size == b->size && a->inode == b->inode &&
           a->seconds == b->seconds && a->nanoseconds == b->nanoseconds;
}

/* ---- reading them -------------------------------------------------------- */

static int read_text(const char *path, size_t most, weft_file_data *ret)
{
    *ret = (weft_file_data){0};
    if (!*path) return 0;
    int err = weft_file_read_all(path, most, ret);
    return is_absent(err) ? 0 : err;
}

static void set_search(struct wf_dns_conf *c, const char *text)
{
    if (*text) {
        wf_dns_conf_search(c, text);
        return;
    }
    c->search_count = 0;
    c->search_given = true;
}

static int apply(const weft_resolver *r, struct wf_dns_files *f,
                 const char *text, size_t len)
{
    char host[WEFT_DNS_NAME];
    struct wf_dns_conf *c = &f->conf;
    /* Nothing here changes them; who does so meanwhile has a race anyway. */
    const char *options =
        getenv("RES_OPTIONS"); /* NOLINT(concurrency-mt-unsafe) */
    wf_dns_conf_parse(c, text, len);
    wf_dns_conf_search(
        c, getenv("LOCALDOMAIN")); /* NOLINT(concurrency-mt-unsafe) */
    wf_dns_conf_options(c, options);
    if (r->opts.search) set_search(c, r->opts.search);
    if (r->opts.ndots)
        c->ndots = r->opts.ndots < 0 ? 0 : (unsigned)r->opts.ndots;
    if (gethostname(host, sizeof host) == 0) {
        host[sizeof host - 1] = 0;
        wf_dns_conf_host_name(c, host);
    }
    if (!r->opts.servers) return 0;
    int err = wf_dns_conf_servers(c, r->opts.servers);
    if (err < 0)
        return weft_fail_at(-EINVAL, NULL, 0, "name servers \"%.60s\": %s",
                            r->opts.servers,
                            err == -E2BIG ? "there are too many"
                                          : "not addresses like 192.0.2.1");
    return 0;
}

static int read_conf(const weft_resolver *r, struct wf_dns_files *f)
{
    weft_file_data text;
    int err = read_text(conf_path(r), CONF_MOST, &text);
    if (err < 0) return err;
    err = apply(r, f, text.data ? text.data : "", text.len);
    weft_file_data_free(&text);
    return err;
}

static struct wf_dns_files *files_new(void)
{
    struct wf_dns_files *f = weft_buffer_alloc(sizeof *f);
    if (!f) return NULL;
    memset(f, 0, sizeof *f);
    f->holders = 1;
    return f;
}

void wf_dns_files_put(struct wf_dns_files *f)
{
    if (!f || --f->holders > 0) return;
    weft_file_data_free(&f->hosts);
    weft_buffer_free(f, sizeof *f);
}

static bool same_servers(const struct wf_dns_files *a,
                         const struct wf_dns_files *b)
{
    char one[WEFT_ADDR_TEXT], other[WEFT_ADDR_TEXT];
    if (a->conf.server_count != b->conf.server_count) return false;
    for (unsigned i = 0; i < a->conf.server_count; i++) {
        (void)weft_addr_format(&a->conf.servers[i], one, sizeof one);
        (void)weft_addr_format(&b->conf.servers[i], other, sizeof other);
        if (strcmp(one, other) != 0) return false;
    }
    return true;
}

/* What was learnt of the servers holds for the same ones. */
static void take_over(weft_resolver *r, struct wf_dns_files *f)
{
    struct wf_dns_files *old = r->files;
    if (old && same_servers(old, f)) {
        memcpy(f->servers, old->servers, sizeof f->servers);
        f->generation = old->generation;
    } else if (old) {
        f->generation = old->generation + 1;
    }
    r->files = f;
    wf_dns_files_put(old);
}

/* With `options no-reload` resolv.conf stays as it was; hosts does not. */
static bool keeps_conf(const weft_resolver *r)
{
    return r->files && r->files->conf.no_reload;
}

static int look(weft_resolver *r)
{
    struct wf_dns_stamp conf, hosts;
    int err = 0;
    if (keeps_conf(r))
        conf = r->files->conf_stamp;
    else
        err = stamp(conf_path(r), &conf);
    if (err == 0) err = stamp(hosts_path(r), &hosts);
    if (err < 0) return err;
    if (r->files && is_same(&conf, &r->files->conf_stamp) &&
        is_same(&hosts, &r->files->hosts_stamp))
        return 0;
    struct wf_dns_files *f = files_new();
    if (!f) return weft_fail_at(-ENOMEM, NULL, 0, "read %.60s", conf_path(r));
    f->conf_stamp = conf;
    f->hosts_stamp = hosts;
    if (keeps_conf(r))
        f->conf = r->files->conf;
    else
        err = read_conf(r, f);
    if (err == 0) err = read_text(hosts_path(r), HOSTS_MOST, &f->hosts);
    if (err < 0) {
        wf_dns_files_put(f);
        return err;
    }
    take_over(r, f);
    return 0;
}

static bool is_fresh(const weft_resolver *r)
{
    return r->files && weft_now() - r->looked < LOOK_EVERY;
}

static int look_again(weft_resolver *r)
{
    int err = weft_mutex_lock(&r->lock);
    if (err < 0) return err;
    if (!is_fresh(r)) err = look(r); /* perhaps somebody has, meanwhile */
    if (err == 0) r->looked = weft_now();
    int unlocked = weft_mutex_unlock(&r->lock);
    return err < 0 ? err : unlocked;
}

int wf_dns_files_get(weft_resolver *r, struct wf_dns_files **ret)
{
    if (!is_fresh(r)) {
        int err = look_again(r);
        if (err < 0 && (err == -ECANCELED || !r->files)) return err;
    }
    r->files->holders++;
    *ret = r->files;
    return 0;
}
