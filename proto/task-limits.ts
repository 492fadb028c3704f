/** Limits of task parameters. Apart from tasks.ts, so that `--help` can show them without loading the schemas. */

export const MAX_BATCH_SIZE = 1 << 20;
/** A worker cannot interrupt a task, so this bounds its duration. */
export const MAX_LOCAL_STEPS = 100_000;
