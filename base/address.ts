import { isIP } from 'node:net';
import { UserError } from './user-error.ts';

/** Where a port of ours is bound. */
export interface Bound {
  host: string;
  port: number;
}

/** `HOST:PORT` of a flag. UserError if it is none. */
export function parseBound(flag: string, text: string): Bound {
  const found = /^(\[[0-9a-f:.%]+\]|[a-z0-9_.-]+):(\d{1,5})$/i.exec(text);
  const port = Number(found?.[2] ?? Number.NaN);
  if (!found || !(port <= 65535)) throw new UserError(`${flag} ${text} must look like HOST:PORT`);
  return { host: found[1].replace(/^\[|\]$/g, ''), port };
}

/** A host as it stands in a URL. */
export const bracketed = (host: string) => (host.includes(':') ? `[${host}]` : host);
export const urlOf = ({ host, port }: Bound) => `http://${bracketed(host)}:${port}/`;

/** Can only this machine reach it? An IPv6 address with or without its brackets. */
export function isLoopback(host: string): boolean {
  // 127.example.com is a name like any other.
  return /^(localhost|::1|\[::1\])$/i.test(host) || (isIP(host) === 4 && host.startsWith('127.'));
}
