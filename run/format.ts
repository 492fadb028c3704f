import { UserError } from '../base/user-error.ts';

/**
 * The format of what dpmesh writes: run.json with all files of a run directory, and follow.json with its folder. Raised with every change by
 * which an earlier dpmesh would call them damaged, or read something else in them; earlier formats stay readable (docs/upgrades.md).
 * Files without a number are of format 1. Checkpoints have a number of their own (checkpoint.ts).
 */
export const FORMAT = 1;

/** UserError if what this file has is of a format to come. `content`: as it was parsed, which may be anything. */
export function assertReadable(path: string, content: unknown): void {
  const format = (content as { format?: unknown } | null)?.format;
  if (typeof format === 'number' && format > FORMAT)
    throw new UserError(
      `${path} was written by a newer dpmesh (format ${format}), this one reads up to ${FORMAT}: upgrade dpmesh`,
    );
}
