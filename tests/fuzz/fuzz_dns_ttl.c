/* Bytes as an answer of a name server: its time to live is read without going astray. */
#include "fuzz.h"

#include "base/check.h"
#include "net/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint32_t ttl = dns_ttl(slice_of((const char *)data, n));
    CHECK(ttl <= 604800);
    return 0;
}
