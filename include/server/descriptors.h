/* How many files and sockets the process may have open, and how many it has. */
#ifndef SERVER_DESCRIPTORS_H
#define SERVER_DESCRIPTORS_H

#include <stdint.h>

/* Raises the soft limit to the hard one; warns in the log when even that is too little for so many
 * connections, each of which may need another one to a target. */
void descriptors_raise(uint64_t max_connections);

/* Open ones of this process; 0 when /proc is not there. */
unsigned descriptors_count(void);

#endif
