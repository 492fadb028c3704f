/** Exit codes of a worker process, besides 0 and 1. */

/** A UserError: the process would fail again if it were restarted. */
export const USER_ERROR = 2;
/** The device is out of memory, as it would be for another worker in its place. */
export const OUT_OF_DEVICE_MEMORY = 3;
