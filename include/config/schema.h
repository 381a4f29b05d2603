/* The shape of a configuration file as tables: one row a key. From the rows come the decoder, its
 * messages ("expected a duration, 1ms to 1d, default 10s") and the test that holds
 * conf/reference.yaml to the code. To add a setting, add a member to config/model.h, a row, and a
 * line to the reference.
 *
 * Rows of one map stand together and end with a row without a name. A scalar row says which member
 * of which struct it fills; what is more than a scalar names its rows or its own decoder.
 * All tables are constant; a schema_ctx belongs to one load on one thread. */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include "config/expand.h"
#include "config/model.h"
#include "config/report.h"
#include "config/yaml_tree.h"

/* What a decoder works with. */
struct schema_ctx {
    struct arena *arena; /* of the config that is being made */
    struct report *report;
    const struct expand_env *env;
    const char *root; /* prefix of /proc, /sys and /etc: "" but in tests */
};

enum schema_type {
    SCHEMA_MAP,      /* .keys */
    SCHEMA_LIST,     /* .keys or .decode for an item, .size of one; a pointer and a count */
    SCHEMA_BOOL,     /* bool */
    SCHEMA_NUMBER,   /* an unsigned member of any width */
    SCHEMA_DURATION, /* the same, in ms */
    SCHEMA_SIZE,     /* the same, in bytes */
    SCHEMA_WORD,     /* one of .words: an enum */
    SCHEMA_NAME,     /* struct slice, see scalar_is_name() */
    SCHEMA_TEXT,     /* struct slice of .min to .max bytes without control characters */
    SCHEMA_CUSTOM,   /* .decode, and .expected for messages */
};

enum schema_built {
    SCHEMA_BUILT,
    SCHEMA_ONLY_DEFAULT, /* a switch whose other positions are not built */
    SCHEMA_NOT_BUILT,    /* the key is known, using it is an error */
};

struct schema_word {
    const char *text;
    int value;
    bool built;
};

struct schema_key;

/* Fills `to` from the node; what it finds wrong goes to the report. For list items `to` is the
 * item, for other keys the member. node is NULL when a default is to be filled in. */
typedef void schema_decode(struct schema_ctx *x, const struct schema_key *key,
                           const struct yaml_tree_node *node, void *to);
/* Looks at a whole map after its keys were decoded. */
typedef void schema_check(struct schema_ctx *x, const struct yaml_tree_node *node, void *to);

struct schema_key {
    const char *name;
    const char *meaning; /* one line, for the reference */
    enum schema_type type;
    enum schema_built built;
    const char *def;   /* as one would type it; NULL: none */
    bool required;     /* there is no default: the key must be there */
    bool none;         /* numbers and sizes: `none` is CONFIG_NONE */
    bool one_or_many;  /* lists: one item may stand without the list */
    bool http_only;    /* makes no sense on a tcp listener */
    uint64_t min, max; /* of the number or the bytes; lists: items at least, bytes of one at most */
    const struct schema_word *words;
    const struct schema_key *keys;
    schema_decode *decode;
    schema_check *check;
    const char *expected; /* SCHEMA_CUSTOM and lists: what to say */
    size_t at, width;     /* the member */
    size_t count_at;      /* lists: the member of type size_t that takes the number of items */
    size_t size;          /* lists: of one item */
};

#define SCHEMA_END                                                                                 \
    {                                                                                              \
        .name = NULL                                                                               \
    }
/* The member that a row fills. */
#define SCHEMA_AT(type, member)                                                                    \
    .at = __builtin_offsetof(struct type, member), .width = sizeof(((struct type *)0)->member)
#define SCHEMA_ITEMS(type, member, item)                                                           \
    SCHEMA_AT(type, member), .count_at = __builtin_offsetof(struct type, member##_n),              \
                             .size = sizeof(struct item)
#define SCHEMA_WORDS_END                                                                           \
    {                                                                                              \
        .text = NULL                                                                               \
    }

/* The whole file; to is a struct config. */
extern const struct schema_key schema_root_keys[];

/* --- for decoders --- */

/* All keys of a map into `to`. Keys that are not there get their defaults. node NULL: defaults
 * only. `what` names the map in messages. */
void schema_map(struct schema_ctx *x, const struct schema_key *keys, const char *what,
                const struct yaml_tree_node *node, void *to);

/* A scalar value by its row: false, and the default in its place, when it was wrong. */
bool schema_scalar(struct schema_ctx *x, const struct schema_key *key,
                   const struct yaml_tree_node *node, void *to);

const struct schema_key *schema_find(const struct schema_key *keys, struct slice name);

/* The only key of a map that must have exactly one, as conditions and actions do: its row, and
 * its value in *value. NULL after an error, also for what is not built. */
const struct schema_key *schema_only_key(struct schema_ctx *x, const struct schema_key *keys,
                                         const char *what, const struct yaml_tree_node *node,
                                         const struct yaml_tree_node **value);

/* "NAME: MESSAGE", with what the row expects. */
struct report_entry *schema_complain(struct schema_ctx *x, const struct schema_key *key,
                                     const struct yaml_tree_node *node, const char *message);
/* That the map, `what`, has not this key and should have it. */
void schema_missing(struct schema_ctx *x, const struct schema_key *key, const char *what,
                    const struct yaml_tree_node *map);
/* That the node says something which exists, but not in this version. */
void schema_not_built(struct schema_ctx *x, struct config_pos pos, const char *what);

/* What a row expects, as text: type, range, default. */
void schema_expected(const struct schema_key *key, struct strbuf *out);

#endif
