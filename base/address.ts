import { isIP } from 'node:net';
import { UserError } from './user-error.ts';

/** The address that a port is bound to. */
export interface BindAddress {
  host: string;
  port: number;
}

/** Parses `HOST:PORT`, the value of a flag. Throws a UserError if it is malformed. */
export function parseBindAddress(flag: string, text: string): BindAddress {
  const match = /^(\[[0-9a-f:.%]+\]|[a-z0-9_.-]+):(\d{1,5})$/i.exec(text);
  const port = Number(match?.[2] ?? Number.NaN);
  if (!match || !(port <= 65535)) throw new UserError(`${flag} ${text} must look like HOST:PORT`);
  return { host: match[1].replace(/^\[|\]$/g, ''), port };
}

/** A host as written in a URL: IPv6 addresses in brackets. */
export const bracketed = (host: string) => (host.includes(':') ? `[${host}]` : host);
/** The URL of the root page. */
export const urlOf = ({ host, port }: BindAddress) => `http://${bracketed(host)}:${port}/`;

/** Is this host reachable from this machine only? An IPv6 address may have brackets. */
export function isLoopback(host: string): boolean {
  // A name such as 127.example.com may resolve to any address.
  return /^(localhost|::1|\[::1\])$/i.test(host) || (isIP(host) === 4 && host.startsWith('127.'));
}

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
