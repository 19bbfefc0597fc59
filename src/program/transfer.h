/* transfer.h - bytes between host memory and device buffers, outside of any program. */
#ifndef KILN_PROGRAM_TRANSFER_H
#define KILN_PROGRAM_TRANSFER_H

#include "device/device.h"

/** True if the host may read and write the buffer's memory in place, once the device is idle. */
bool kiln_buffer_is_host(const kiln_device *dev, const struct kiln_buffer *b);

/** Copy bytes out of or into a buffer; waits until they are there. Offsets and sizes are multiples of 2. */
kiln_status kiln_buffer_read(kiln_device *dev, struct kiln_buffer *b, uint64_t offset, void *to,
                             uint64_t bytes);
kiln_status kiln_buffer_write(kiln_device *dev, struct kiln_buffer *b, uint64_t offset, const void *from,
                              uint64_t bytes);
/** Fill a whole buffer with zeros. */
kiln_status kiln_buffer_clear(kiln_device *dev, struct kiln_buffer *b);

#endif
