/* SPDX-License-Identifier: MIT */
/*
 * files - a directory of notes: written so that none is ever half there, read
 * back, listed, and taken away again.
 */
#include <weft.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[] = "/tmp/weft-notes-XXXXXX";

static const char *note(char *path, size_t size, const char *name)
{
    (void)snprintf(path, size, "%s/%s", dir, name);
    return path;
}

/* ---- a note, and a log of what was done --------------------------------- */

static int keep(const char *name, const char *text)
{
    char path[256];
    return weft_file_write_atomic(note(path, sizeof path, name), text,
                                  strlen(text), 0600);
}

static int show(const char *name)
{
    char path[256];
    weft_file_data text;
    int err = weft_file_read_all(note(path, sizeof path, name), 1000, &text);
    if (err < 0) {
        printf("%s: %s\n", name, weft_strerror(err));
        return err == -ENOENT ? 0 : err;
    }
    printf("%s: %s\n", name, text.data);
    weft_file_data_free(&text);
    return 0;
}

static int append_to_log(const char *line)
{
    char path[256];
    weft_fd log;
    int err = weft_file_open(note(path, sizeof path, "log"),
                             O_WRONLY | O_CREAT | O_APPEND, 0600, &log);
    if (err < 0) return err;
    ssize_t n = weft_file_write(log, line, strlen(line));
    if (n >= 0) err = weft_file_datasync(log);
    int closed = weft_file_close(log);
    return n < 0 ? (int)n : err < 0 ? err : closed;
}

/* ---- the directory ------------------------------------------------------ */

/* Calls fn for each name in it, in no order. */
static int for_each(int (*fn)(const char *path, void *arg), void *arg)
{
    char path[512];
    weft_dirent e;
    weft_dir *d;
    int rc = weft_dir_open(dir, &d);
    if (rc < 0) return rc;
    while ((rc = weft_dir_next(d, &e)) > 0) {
        rc = fn(note(path, sizeof path, e.name), arg);
        if (rc < 0) break;
    }
    weft_dir_close(d);
    return rc;
}

static int add_size(const char *path, void *arg)
{
    struct stat st;
    int err = weft_file_stat(path, &st);
    if (err == 0) *(long *)arg += (long)st.st_size;
    return err;
}

static int take_away(const char *path, void *arg)
{
    ++*(int *)arg;
    return weft_file_unlink(path);
}

static int keep_notes(void)
{
    long octets = 0;
    int files = 0, rc = keep("warp", "runs lengthwise");
    if (rc == 0) rc = keep("weft", "crosses it");
    if (rc == 0) rc = keep("weft", "crosses the warp");
    if (rc == 0) rc = append_to_log("two kept\n");
    if (rc == 0) rc = append_to_log("one changed\n");
    if (rc == 0) rc = show("warp");
    if (rc == 0) rc = show("weft");
    if (rc == 0) rc = show("woof");
    if (rc == 0) rc = for_each(add_size, &octets);
    if (rc == 0) printf("all of it: %ld octets\n", octets);
    if (rc == 0) rc = for_each(take_away, &files);
    if (rc == 0) printf("taken away: %d files\n", files);
    return rc;
}

static int start(void *arg)
{
    (void)arg;
    int rc = keep_notes();
    int gone = weft_file_rmdir(dir);
    if (rc == 0) rc = gone;
    if (rc < 0) weft_error_print(2, rc);
    return rc;
}

int main(void)
{
    if (!mkdtemp(dir)) return 1;
    return weft_run(start, NULL, NULL) < 0;
}
