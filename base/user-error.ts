/**
 * A user's mistake: invalid input, a flag out of range, a missing file. The command line prints its message as one line,
 * without a stack trace, and exits with code 2. Any other error is a bug in dpmesh.
 */
export class UserError extends Error {
  override name = 'UserError';
}
