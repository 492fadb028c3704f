import { isIP } from 'node:net';

/** Can only this machine reach it? An IPv6 address with or without its brackets. */
export function isLoopback(host: string): boolean {
  // 127.example.com is a name like any other.
  return /^(localhost|::1|\[::1\])$/i.test(host) || (isIP(host) === 4 && host.startsWith('127.'));
}
