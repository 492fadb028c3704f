import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Limit on the bytes per second that are produced for repeated requests. A client that does not read keeps its response in
 * memory until it is dropped (http.ts), so this bounds memory as well as time.
 */
const MAX_BYTES_PER_SECOND = 2e6;

/**
 * Combines requests for the same text. The returned function resolves to the bytes of `make`, shared by all who ask at the
 * same time, or null if `make` returns null. The text is made again when `version` changes; without `version`, each time.
 * A caller never gets a text older than its request: if the rate limit is reached, it waits, together with others, for the
 * next one.
 */
export function coalesce(
  make: () => string | null | Promise<string>,
  version: () => unknown = () => ({}),
): () => Promise<Buffer | null> {
  let last: { version: unknown; bytes: Buffer | null } | null = null;
  let next: Promise<Buffer | null> | null = null;
  let making: Promise<unknown> = Promise.resolve();
  let earliest = 0;

  async function makeNext(): Promise<Buffer | null> {
    await making.catch(() => {});
    const wait = earliest - performance.now();
    if (wait > 0) await sleep(wait, undefined, { ref: false });
    // From here on `make` reads the data: later callers need a newer text.
    next = null;
    const made = makeNow();
    making = made;
    return made;
  }

  async function makeNow(): Promise<Buffer | null> {
    const current = version();
    const text = await make();
    const bytes = text === null ? null : Buffer.from(text);
    last = { version: current, bytes };
    earliest = performance.now() + ((bytes?.length ?? 0) / MAX_BYTES_PER_SECOND) * 1000;
    return bytes;
  }

  return async () => {
    if (last && last.version === version()) return last.bytes;
    next ??= makeNext();
    return next;
  };
}
