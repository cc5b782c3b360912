/* SPDX-License-Identifier: MIT */
/* http_corpus.c - the files of tests/http, line by line. */
#include "http_corpus.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_LINE = 4096, LONGEST_PATH = 4096 };

struct place {
    const char *file;
    unsigned line;
};

__attribute__((noreturn)) static void complain(const struct place *p,
                                               const char *what)
{
    (void)fprintf(stderr, "%s:%u: %s\n", p->file, p->line, what);
    exit(1);
}

static char *copy_of(const char *s, size_t len)
{
    char *copy = malloc(len + 1);
    if (!copy) abort();
    memcpy(copy, s, len);
    copy[len] = 0;
    return copy;
}

static void *larger(void *old, size_t count, size_t *room, size_t size)
{
    if (count < *room) return old;
    *room = 2 * *room + 16;
    void *memory = realloc(old, *room * size);
    if (!memory) abort();
    return memory;
}

/* ---- escapes ------------------------------------------------------------ */

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* What follows a \: one octet, whose name is passed over. */
static char escaped(const struct place *p, const char **at)
{
    static const char names[] = "rnt\\)", octets[] = "\r\n\t\\)";
    const char *s = *at, *name = *s ? strchr(names, *s) : NULL;
    *at = s + 1;
    if (name) return octets[name - names];
    if (*s != 'x' || digit(s[1]) < 0 || digit(s[2]) < 0)
        complain(p, "an escape that is none");
    *at = s + 3;
    return (char)(digit(s[1]) * 16 + digit(s[2]));
}

/* What is repeated ends at the first ) that is not escaped. */
static const char *end_of_repeated(const struct place *p, const char *s)
{
    while (*s != ')') {
        if (*s == '\\') s++;
        if (!*s++) complain(p, "a \\( without its )");
    }
    return s;
}

/* Up to `end`. In an outcome escapes stay as they are: they are its own. */
static void expand(const struct place *p, struct http_outcome *to,
                   const char *s, const char *end, bool escapes)
{
    while (s < end) {
        if (s[0] == '\\' && s[1] == '(') {
            char *text;
            unsigned long times = strtoul(s + 2, &text, 10);
            if (*text != ' ') complain(p, "no \\(NUMBER TEXT)");
            s = end_of_repeated(p, text);
            while (times-- > 0)
                expand(p, to, text + 1, s, escapes);
            s++;
        } else if (s[0] == '\\' && escapes) {
            s++;
            char octet = escaped(p, &s);
            outcome_add(to, &octet, 1);
        } else {
            outcome_add(to, s++, 1);
        }
    }
}

/* ---- lines -------------------------------------------------------------- */

static struct http_case *begin(struct http_corpus *c, const struct place *p,
                               const char *text)
{
    const char *section = strstr(text, "  ");
    if (!section) complain(p, "no section behind two spaces");
    c->cases = larger(c->cases, c->count, &c->room, sizeof *c->cases);
    struct http_case *k = &c->cases[c->count++];
    *k = (struct http_case){.line = p->line};
    k->file = copy_of(p->file, strlen(p->file));
    k->sentence = copy_of(text, (size_t)(section - text));
    section += strspn(section, " ");
    k->section = copy_of(section, strlen(section));
    return k;
}

static void add_line(struct http_case *k, const struct place *p, char kind,
                     const char *text)
{
    const char *end = text + strlen(text);
    switch (kind) {
    case '>':
        expand(p, &k->octets, text, end, true);
        outcome_add(&k->octets, "\r\n", 2);
        return;
    case '|':
        expand(p, &k->octets, text, end, true);
        return;
    case '=':
        expand(p, &k->outcome, text, end, false);
        outcome_add(&k->outcome, "\n", 1);
        return;
    case '%':
        k->server = copy_of(text, strlen(text));
        return;
    case '@':
        k->asked = copy_of(text, strlen(text));
        return;
    default:
        complain(p, "a line of no kind");
    }
}

static void read_file(struct http_corpus *c, const char *path, const char *name)
{
    char text[LONGEST_LINE];
    struct place p = {.file = name};
    bool inside = false;
    FILE *file = fopen(path, "r");
    if (!file) complain(&p, "cannot be read");
    while (fgets(text, sizeof text, file)) {
        p.line++;
        size_t len = strlen(text);
        if (len == 0 || text[len - 1] != '\n') complain(&p, "too long a line");
        text[len - 1] = 0;
        if (!text[0] || text[0] == '#') continue;
        if (text[1] && text[1] != ' ') complain(&p, "no space behind its kind");
        const char *rest = text[1] ? text + 2 : "";
        if (text[0] != ':' && !inside) complain(&p, "in no case");
        if (text[0] == ':')
            (void)begin(c, &p, rest);
        else
            add_line(&c->cases[c->count - 1], &p, text[0], rest);
        inside = true;
    }
    (void)fclose(file);
}

/* ---- files -------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t list(const char *dir, const char *prefix, char ***ret_names)
{
    char **names = NULL;
    size_t count = 0, room = 0;
    struct place p = {.file = dir};
    DIR *d = opendir(dir);
    if (!d) complain(&p, "cannot be listed");
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (strncmp(e->d_name, prefix, strlen(prefix)) != 0) continue;
        names = larger(names, count, &room, sizeof *names);
        names[count++] = copy_of(e->d_name, strlen(e->d_name));
    }
    (void)closedir(d);
    if (count == 0) complain(&p, "no file of that prefix");
    qsort(names, count, sizeof *names, by_name);
    *ret_names = names;
    return count;
}

void http_corpus_load(struct http_corpus *c, const char *root,
                      const char *prefix)
{
    char path[LONGEST_PATH], **names;
    *c = (struct http_corpus){0};
    (void)snprintf(path, sizeof path, "%s/tests/http", root);
    size_t dir = strlen(path), count = list(path, prefix, &names);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(path + dir, sizeof path - dir, "/%s", names[i]);
        read_file(c, path, names[i]);
        free(names[i]);
    }
    free(names);
}

void http_corpus_free(struct http_corpus *c)
{
    for (size_t i = 0; i < c->count; i++) {
        struct http_case *k = &c->cases[i];
        free(k->file);
        free(k->sentence);
        free(k->section);
        free(k->server);
        free(k->asked);
        outcome_free(&k->octets);
        outcome_free(&k->outcome);
    }
    free(c->cases);
    *c = (struct http_corpus){0};
}
