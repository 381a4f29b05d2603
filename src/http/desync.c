#include "http/desync.h"

#include "base/check.h"

enum desync_action desync_action(enum desync_mode mode, enum desync_class cls)
{
    switch (mode) {
    case DESYNC_MODE_MONITOR:
        return DESYNC_PASS;
    case DESYNC_MODE_DEFENSIVE:
        return cls == DESYNC_SEVERE      ? DESYNC_REFUSE
               : cls == DESYNC_AMBIGUOUS ? DESYNC_PASS_AND_CLOSE
                                         : DESYNC_PASS;
    case DESYNC_MODE_STRICTEST:
        return cls == DESYNC_COMPLIANT ? DESYNC_PASS : DESYNC_REFUSE;
    }
    CHECK(!"a desync mode");
    return DESYNC_REFUSE;
}

enum desync_class desync_class_of(enum desync_cause cause)
{
    static const enum desync_class classes[] = {
#define CLASS(id, cls, name) [DESYNC_##id] = DESYNC_##cls,
        DESYNC_CAUSES(CLASS)
#undef CLASS
    };
    CHECK(cause < DESYNC_CAUSE_COUNT);
    return classes[cause];
}

const char *desync_cause_name(enum desync_cause cause)
{
    static const char *const names[] = {
#define NAME(id, cls, name) [DESYNC_##id] = name,
        DESYNC_CAUSES(NAME)
#undef NAME
    };
    CHECK(cause < DESYNC_CAUSE_COUNT);
    return names[cause];
}

const char *desync_class_name(enum desync_class cls)
{
    static const char *const names[] = {
        [DESYNC_COMPLIANT] = "",
        [DESYNC_ACCEPTABLE] = "Acceptable",
        [DESYNC_AMBIGUOUS] = "Ambiguous",
        [DESYNC_SEVERE] = "Severe",
    };
    CHECK(cls < ARRAY_LEN(names));
    return names[cls];
}
