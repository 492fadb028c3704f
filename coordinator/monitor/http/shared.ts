import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Bytes a second that are made at the most while they are asked for again and again. Who does not read holds what it was
 * given until it is dropped (base/http.ts), so this bounds memory as well as time.
 */
const MOST_PER_SECOND = 2e6;

/**
 * The newest text that `make` gives, as bytes that all who ask share; null where it gives null. It is made again when
 * `version` changes, always without one. Nobody gets what is older than the question: who asks too soon after the last
 * was made waits, together with others, for the next.
 */
export function shared(
  make: () => string | null | Promise<string>,
  version: () => unknown = () => ({}),
): () => Promise<Buffer | null> {
  let last: { version: unknown; bytes: Buffer | null } | null = null;
  let next: Promise<Buffer | null> | null = null;
  let making: Promise<unknown> = Promise.resolve();
  let free = 0;

  async function renew(): Promise<Buffer | null> {
    await making.catch(() => {});
    const wait = free - performance.now();
    if (wait > 0) await sleep(wait, undefined, { ref: false });
    // From here on `make` looks: who asks later needs a newer one.
    next = null;
    const made = now();
    making = made;
    return made;
  }

  async function now(): Promise<Buffer | null> {
    const of = version();
    const text = await make();
    const bytes = text === null ? null : Buffer.from(text);
    last = { version: of, bytes };
    free = performance.now() + ((bytes?.length ?? 0) / MOST_PER_SECOND) * 1000;
    return bytes;
  }

  return async () => {
    if (last && last.version === version()) return last.bytes;
    next ??= renew();
    return next;
  };
}
