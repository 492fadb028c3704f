// A network link of a given bandwidth on one machine: a TCP proxy that lets so many bytes a second through in each direction, of all
// connections together, as the link of the machine with the coordinator does. Faults are in test/faults/impair.ts, not here.
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** Unused time that may be made up for, ms: timers are late by some milliseconds. */
const BURST_MS = 10;

/** Resolves when `bytes` more may pass. Callers share the bandwidth, first come, first served. */
export function tokenBucket(gbit: number): (bytes: number) => Promise<void> {
  const bytesPerMs = (gbit * 1e9) / 8 / 1000;
  let free = 0;
  return async (bytes) => {
    const now = performance.now();
    free = Math.max(free, now - BURST_MS) + bytes / bytesPerMs;
    if (free > now) await sleep(free - now);
  };
}

export interface Link {
  /** Of the proxy, on 127.0.0.1. */
  port: number;
  close(): void;
}

/** A link of `gbit` Gbit/s in each direction to a port of this machine. */
export async function openLink(target: number, gbit: number): Promise<Link> {
  const [there, back] = [tokenBucket(gbit), tokenBucket(gbit)];
  const sockets = new Set<Socket>();
  const forward = (from: Socket, to: Socket, pass: (bytes: number) => Promise<void>) => {
    sockets.add(from.setNoDelay());
    const throttled = async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        await pass(chunk.length);
        yield chunk;
      }
    };
    // A connection that ends at one side, ends at the other.
    pipeline(from, throttled, to).catch(() => {
      from.destroy();
      to.destroy();
    });
  };
  const server = createServer((near) => {
    const far = dial(target, '127.0.0.1');
    forward(near, far, there);
    forward(far, near, back);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
