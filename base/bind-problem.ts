import { UserError } from './user-error.ts';

/** Why nothing can listen at an address for workers, for people; other errors as they are. */
export function cannotListen(bind: string, error: NodeJS.ErrnoException): Error {
  if (error.code === 'EADDRINUSE')
    return new UserError(`--bind ${bind}: the port is in use; choose another, or * for any free port`);
  if (error.code === 'EACCES')
    return new UserError(`--bind ${bind}: this user may not listen on this port; choose one above 1023`);
  if (error.errno === undefined) return error;
  // A name that is not known, too, and a family of addresses; for some of these libzmq has odd errors.
  return new UserError(
    `--bind ${bind}: this machine has no such address (${error.code}); use one of its own`,
  );
}
