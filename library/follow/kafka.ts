import { setTimeout as sleep } from 'node:timers/promises';
import type { Consumer } from '@platformatic/kafka';
import { parseBindAddress } from '../../base/address.ts';
import { oneLine } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import { Unreachable, withoutSecrets } from '../../data/remote/address.ts';
import { createRowEnds, type Lines } from './lines.ts';

/** A topic, of which all partitions are read, in no consumer group. Lists of offsets are those of partitions 0, 1, …. */
export interface Topic {
  /** As messages of people name it. */
  readonly address: string;
  readonly name: string;
  /** Of the first message of each partition that the broker still has, and after the last one. */
  offsets(): Promise<{ first: number[]; end: number[] }>;
  /** Messages from these offsets on, and the offsets from which to go on; none if none come for half a second. */
  fetch(from: readonly number[]): Promise<{ messages: KafkaMessage[]; next: number[] }>;
  close(): Promise<void>;
}
export interface KafkaMessage {
  partition: number;
  offset: number;
  value: Buffer;
}

const [REQUEST_MS, WAIT_MS, FETCH_BYTES] = [10_000, 500, 8 << 20];
const ADDRESS = /^kafka:\/\/([^/@?#]+)\/([a-z0-9._-]{1,249})$/i;

export const isTopic = (data: unknown): data is string => typeof data === 'string' && /^kafka:/i.test(data);

/** Parses `kafka://host:port,host:port/topic`. UserError for anything else. */
export function parseTopic(text: string) {
  const [, brokers = '', name] = ADDRESS.exec(text) ?? [];
  try {
    return { name, brokers: brokers.split(',').map((broker) => parseBindAddress('--data', broker)) };
  } catch {
    throw new UserError(
      `--data ${withoutSecrets(text)} must look like kafka://HOST:PORT/TOPIC, with commas between several HOST:PORT, and no name, password or query`,
    );
  }
}

/** UserError without the package. No broker is asked yet. */
export async function openTopic(address: string): Promise<Topic> {
  const { name, brokers } = parseTopic(address);
  const { Consumer } = await import('@platformatic/kafka').catch((error: Error) => {
    throw new UserError(
      `--data ${address} needs a package that cannot be loaded (${oneLine(error.message.split('\n')[0])}): npm install @platformatic/kafka@1`,
    );
  });
  const consumer = new Consumer({
    ...{ clientId: 'dpmesh', groupId: 'dpmesh', bootstrapBrokers: brokers },
    ...{ timeout: REQUEST_MS, connectTimeout: REQUEST_MS, retries: 0, autocommit: false },
    // Soon a new partition, or another broker, is known.
    metadataMaxAge: 1000,
  });
  const topics = [name];
  const attempt = async <T>(action: () => Promise<T>): Promise<T> => {
    try {
      return await action();
    } catch (error) {
      consumer.clearMetadata();
      throw problem(address, error as KafkaError);
    }
  };
  const offsetsAt = async (timestamp: bigint) =>
    (await consumer.listOffsets({ topics, timestamp })).get(name)!.map(Number);
  return {
    address,
    name,
    offsets: () => attempt(async () => ({ first: await offsetsAt(-2n), end: await offsetsAt(-1n) })),
    fetch: (from) => attempt(() => fetchFrom(consumer, name, from)),
    close: async () => consumer.close(true),
  };
}

/** Of each broker that leads partitions at once, in the order of partitions. */
async function fetchFrom(consumer: Consumer, name: string, from: readonly number[]) {
  const { id, partitions } = (await consumer.metadata({ topics: [name] })).topics.get(name)!;
  // Partitions that are new begin at 0.
  const next = partitions.map((_, partition) => from[partition] ?? 0);
  const nodes = [...new Set(partitions.map(({ leader }) => leader))];
  const answers = await Promise.all(
    nodes.map((node) => {
      const own = [...next.keys()].filter((partition) => partitions[partition].leader === node);
      const wanted = own.map((partition) => ({
        ...{ partition, fetchOffset: BigInt(next[partition]), partitionMaxBytes: FETCH_BYTES },
        ...{ currentLeaderEpoch: -1, lastFetchedEpoch: -1 },
      }));
      return consumer.fetch({
        ...{ node, topics: [{ topicId: id, partitions: wanted }] },
        ...{ maxWaitTime: WAIT_MS, maxBytes: FETCH_BYTES },
      });
    }),
  );
  const messages: KafkaMessage[] = [];
  const found = answers.flatMap(({ responses }) => responses.flatMap((response) => response.partitions));
  for (const { partitionIndex: partition, records } of found.sort(
    (a, b) => a.partitionIndex - b.partitionIndex,
  ))
    for (const batch of records ?? []) {
      const begin = next[partition];
      next[partition] = Number(batch.firstOffset) + batch.lastOffsetDelta + 1;
      // What only marks the end of a transaction is no message.
      if (batch.attributes & CONTROL) continue;
      for (const { offsetDelta, value } of batch.records) {
        const offset = Number(batch.firstOffset) + offsetDelta;
        // A broker sends whole batches.
        if (offset >= begin && value?.some((byte) => byte > 32)) messages.push({ partition, offset, value });
      }
    }
  return { messages, next };
}

const CONTROL = 1 << 5;

type KafkaError = Error & { findBy?(property: string, value: unknown): Error | null };

function problem(address: string, error: KafkaError): Error {
  if (!error.findBy) return error;
  const { code = '', message } = firstCause(error);
  const why = oneLine(message.split('\n')[0]);
  if (/^Unknown topic/.test(why))
    return new UserError(`${address}: the broker has no such topic: create it, or correct --data`);
  // The others may pass.
  const isLasting = /_(AUTHENTICATION|UNSUPPORTED\w*)$/.test(code);
  return new (isLasting ? UserError : Unreachable)(`${address} cannot be read (${why})`);
}

/** The error below those that only say what failed. */
function firstCause(error: NodeJS.ErrnoException): NodeJS.ErrnoException {
  const below = error instanceof AggregateError ? error.errors[0] : error.cause;
  return below instanceof Error ? firstCause(below) : error;
}

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
