/** Exit code of a command that was stopped, such as by Ctrl-C. */
export const INTERRUPTED = 130;
/** The exit code of a user's mistake: the same command would fail again. */
const MISTAKE = 2;
/**
 * The exit code where the disk is full or has failed: the same command may succeed when there is room (EX_TEMPFAIL of sysexits.h), so that
 * services may be restarted.
 */
export const DISK_TROUBLE = 75;

/**
 * A user's mistake: invalid input, a flag out of range, a missing file. The command line prints its message as one line,
 * without a stack trace, and exits with `exitCode`. Any other error is a bug in dpmesh.
 */
export class UserError extends Error {
  override name = 'UserError';
  /** 2, or 75 where the disk is full or has failed, and the same may succeed later. */
  readonly exitCode: number;

  /** `exitCode`: by default that of the `cause`. */
  constructor(message?: string, { exitCode, cause }: { exitCode?: number; cause?: unknown } = {}) {
    super(message, cause === undefined ? {} : { cause });
    this.exitCode = exitCode ?? (cause instanceof UserError ? cause.exitCode : MISTAKE);
  }
}
