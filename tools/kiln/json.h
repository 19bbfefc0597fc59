/*
 * json.h - writes one JSON document, piece by piece: what --json prints.
 *
 *   json_open(&j, NULL, '{');
 *   json_text(&j, "name", "cpu");
 *   json_close(&j);
 *
 * key is NULL inside arrays and for the document itself. The document ends with a newline.
 */
#ifndef KILN_TOOLS_JSON_H
#define KILN_TOOLS_JSON_H

#include <stdbool.h>
#include <stdio.h>

/** {0} is an empty document; {.line = true} one without line breaks but at its end. */
struct json {
    FILE *to; /* NULL: stdout */
    bool line;
    int depth;
    char close[16]; /* of the objects and arrays that are open */
    bool some[16];  /* whether one of them has a member yet */
};

/** Begin an object ('{') or an array ('['). At most 16 of them lie in each other. */
void json_open(struct json *j, const char *key, char kind);
void json_close(struct json *j);

void json_text(struct json *j, const char *key, const char *value);
/** In the fewest digits that read back as the same number; null if it is none or infinite. */
void json_number(struct json *j, const char *key, double value);
void json_bool(struct json *j, const char *key, bool value);

#endif
