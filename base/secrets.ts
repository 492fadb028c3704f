import { UserError } from './user-error.ts';

/**
 * UserError, which does not repeat it, for a secret that no header can have, such as one with the line end of its file: the error of
 * who would send it may.
 */
export function assertSecret(what: string, secret: string): void {
  if (!/^[\x21-\x7e]+$/.test(secret))
    throw new UserError(
      `${what} must consist of letters, digits and punctuation, without spaces and line ends`,
    );
}
