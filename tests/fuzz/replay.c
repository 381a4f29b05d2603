/* main() of the fuzz targets outside BUILD=fuzz: runs each file named on the command line once.
 * The input is copied to memory of exactly its size, so that a sanitizer sees a read beyond it. */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

static int replay(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0) {
        perror(path);
        return 1;
    }
    size_t n = (size_t)ftell(f);
    rewind(f);
    uint8_t *data = malloc(n ? n : 1);
    int failed = !data || fread(data, 1, n, f) != n;
    fclose(f);
    if (failed)
        fprintf(stderr, "%s: cannot be read\n", path);
    else
        LLVMFuzzerTestOneInput(data, n);
    free(data);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = argc < 2;
    for (int i = 1; i < argc; i++)
        failed |= replay(argv[i]);
    return failed;
}
