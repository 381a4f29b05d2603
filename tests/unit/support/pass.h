/* Time turned by hand: for tests of timeouts. */
#ifndef SUPPORT_PASS_H
#define SUPPORT_PASS_H

#include "net/loop.h"

/* `ms` pass at once: what falls due fires, and its tasks run while the clock shows the later time.
 * No descriptor is looked at. The next turn goes back to the system's clock, so a deadline that was
 * set from here on comes true in the next call at the earliest. */
void pass_ms(struct loop *l, uint64_t ms);

#endif
