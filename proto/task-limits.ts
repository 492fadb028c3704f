/** Limits of messages and task parameters. Apart, so that what only needs these numbers loads no schemas. */

/** Maximum bytes of a message. Anything larger is rejected before it is decoded. */
export const MAX_MESSAGE = 1 << 30;

export const MAX_BATCH_SIZE = 1 << 20;
/** A worker cannot interrupt a task, so this bounds its duration. */
export const MAX_LOCAL_STEPS = 100_000;
/** Rows that pass through a net at a time, at most. */
export const FORWARD_ROWS = 2048;
