import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../../base/user-error.ts';
import { Unreachable } from '../../data/remote/address.ts';
import type { KafkaMessage, Topic } from './kafka.ts';
import type { Lines } from './lines.ts';
import { createRowEnds } from './row-ends.ts';

/**
 * The lines of the messages of a topic, which is read one fetch ahead. A piece ends where a message does.
 *
 * @param rows that are enough for a piece
 * @param every seconds after which fewer are enough
 * @param from the offsets to go on from; partitions that it lacks are read from their beginning
 * @param once ends where the topic ended at first
 * @param separator of fields, besides the usual ones
 * @param pause ms before a broker that could not be reached is asked again
 */
export function createTopicLines(
  topic: Topic,
  {
    rows,
    every,
    from,
    once,
    signal,
    log,
    pause,
    separator = null,
  }: {
    rows: number;
    every: number;
    from: readonly number[];
    once: boolean;
    signal?: AbortSignal;
    log: (line: string) => void;
    pause: number;
    separator?: string | null;
  },
): Lines {
  /** The offsets after what was taken, and after what was read. */
  let [taken, read] = [[...from], [...from]];
  /** Where the partitions ended at first; null before the broker has told. */
  let end: number[] | null = null;
  /** What was read, of which those from `place` on were not taken. */
  let [messages, place] = [[] as KafkaMessage[], 0];
  let where = topic.address;

  /** UserError if the broker has no longer what comes next. */
  async function check(): Promise<void> {
    const found = await topic.offsets();
    for (const [partition, offset] of read.entries()) {
      const [first, last] = [found.first[partition], found.end[partition]];
      if (offset >= first && offset <= last) continue;
      const has = first === undefined ? 'no such partition' : `those from ${first} to ${last}`;
      throw new UserError(
        `${topic.address}: partition ${partition} is to be read from offset ${offset} on, and the broker has ${has}: follow into another --out to begin with what it has`,
      );
    }
    if (end === null) taken = read = found.first.map((first, partition) => read[partition] ?? first);
    end ??= found.end;
  }

  /** Reads on if no message waits. False if none has come until then, ms on the clock of the process, or none is to come. */
  async function more(until: number): Promise<boolean> {
    let failures = 0;
    const isOver = () =>
      signal?.aborted ||
      performance.now() > until ||
      (once && end?.every((offset, partition) => read[partition] >= offset));
    while (place === messages.length && !isOver())
      try {
        if (end === null || failures) await check();
        const found = await topic.fetch(read);
        [messages, place, read, failures] = [found.messages, 0, found.next, 0];
      } catch (error) {
        if (!(error instanceof Unreachable)) throw error;
        // The first time it may be the offsets, or another broker leads by now.
        if (++failures === 1) continue;
        if (once) throw error;
        log(`dpmesh: warning: ${error.message}`);
        await sleep(Math.min(pause, until - performance.now()), undefined, { signal }).catch(() => {});
      }
    return place < messages.length;
  }

  async function ending() {
    return (await more(Number.POSITIVE_INFINITY)) ? endingOf(messages[place], topic.address) : null;
  }

  return {
    source: 'kafka',
    ending,
    async next(write) {
      const kind = await ending();
      where = `${topic.address}, partitions from offsets ${taken.join(', ')} on`;
      const pieces: Uint8Array[] = [];
      let [count, until] = [0, Number.POSITIVE_INFINITY];
      while (kind !== null && count < rows && (await more(until))) {
        const { partition, offset, value } = messages[place];
        if (endingOf(messages[place], topic.address) !== kind) break;
        pieces.push(value, NEWLINE);
        count += rowsIn(messages[place], kind, { address: topic.address, separator });
        taken = read.map((_, i) => (i === partition ? offset + 1 : (taken[i] ?? 0)));
        place++;
        until = Math.min(until, performance.now() + 1000 * every);
      }
      if (count) write(Buffer.concat(pieces));
      return count;
    },
    where: () => where,
    position: () => ({ kafka: { topic: topic.name, offsets: taken } }),
  };
}

const NEWLINE = Buffer.from('\n');

/** The number of rows of a message. UserError if it ends within quotes: those of the next one would close them. */
function rowsIn(
  { partition, offset, value }: KafkaMessage,
  kind: 'csv' | 'jsonl',
  { address, separator }: { address: string; separator: string | null },
): number {
  const ends = createRowEnds(kind, separator);
  const bytes = Buffer.concat([value, NEWLINE]);
  let count = 0;
  for (let end = ends.next(bytes, 0); end !== null; end = ends.next(bytes, end)) count++;
  const open = ends.open();
  if (!open) return count;
  throw new UserError(
    `${address}: the message at offset ${offset} of partition ${partition} has a quote in line ${open.line} that does not close`,
  );
}

function endingOf({ partition, offset, value }: KafkaMessage, address: string): 'csv' | 'jsonl' {
  if (value.some((byte) => byte < 9 || (byte > 13 && byte < 32)))
    throw new UserError(
      `${address}: the message at offset ${offset} of partition ${partition} is binary, and must be lines of CSV or JSON`,
    );
  return /^\s*[{[]/.test(value.toString('utf8', 0, 1024)) ? 'jsonl' : 'csv';
}
