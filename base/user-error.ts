/**
 * A mistake of the user's: bad input, a flag out of range, a missing file. The command line prints its
 * message as one line, without a stack, and exits with 2. Every other error is a bug of ours.
 */
export class UserError extends Error {
  override name = 'UserError';
}
