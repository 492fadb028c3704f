import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';

/** Of a connection that this side has closed, for a minute. */
const TIME_WAIT = '06';
/** Hundredths of a second that are left of that minute for a connection that was closed just now. */
const JUST_NOW = 5900;

/**
 * The address of the peer whose connection to this local port was closed last, from this side and just now; null where Linux has none, or
 * this is no Linux. libzmq does not say it of a failed handshake.
 */
export function lostPeer(port: number): string | null {
  let [newest, address]: [number, string | null] = [JUST_NOW, null];
  for (const table of ['tcp', 'tcp6'])
    for (const line of linesOf(`/proc/net/${table}`)) {
      const [, local = '', remote = '', state, , timer = ''] = line.trim().split(/\s+/);
      const left = Number.parseInt(timer.split(':')[1], 16);
      if (state !== TIME_WAIT || Number.parseInt(local.split(':')[1], 16) !== port || !(left > newest))
        continue;
      [newest, address] = [left, addressOf(remote.split(':')[0])];
    }
  return address;
}

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, 'latin1').split('\n');
  } catch {
    return [];
  }
}

/** Words of 32 bits in the order of this machine's bytes. */
function addressOf(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => [...Buffer.from(word, 'hex').reverse()]);
  if (bytes.length === 4) return bytes.join('.');
  const mapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff;
  if (mapped) return bytes.slice(12).join('.');
  const text = Array.from({ length: 8 }, (_, i) =>
    ((bytes[2 * i] << 8) | bytes[2 * i + 1]).toString(16),
  ).join(':');
  return isIPv6(text) ? new URL(`http://[${text}]`).hostname.slice(1, -1) : text;
}
