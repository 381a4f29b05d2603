#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *cond, const char *file, int line)
{
    fprintf(stderr, "tenbin: BUG: CHECK(%s) failed at %s:%d\n", cond, file, line);
    abort();
}
