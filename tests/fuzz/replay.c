/* main() for fuzz targets outside of libFuzzer: runs each file that is named once. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return 1;
    }
    size_t cap = 1 << 20;
    uint8_t *data = malloc(cap);
    size_t n = data ? fread(data, 1, cap, f) : 0;
    int failed = !data || ferror(f) || n == cap;
    fclose(f);
    if (failed)
        fprintf(stderr, "%s: cannot be read, or has 1 MiB and more\n", path);
    else
        LLVMFuzzerTestOneInput(data, n);
    free(data);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = 0;
    if (argc < 2)
        fprintf(stderr, "usage: %s FILE...\n", argv[0]);
    for (int i = 1; i < argc; i++)
        failed |= replay(argv[i]);
    return argc < 2 ? 2 : failed;
}
