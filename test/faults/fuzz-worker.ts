import assert from 'node:assert/strict';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { block, blockCount } from '../../model/layout.ts';
import { generator, type Rng } from '../../model/random.ts';
import { decode, encode, MalformedMessage, prefixed } from '../../proto/codec.ts';
import { type FromCoordinator, type FromWorker, fromWorker, type WorkUnit } from '../../proto/messages.ts';
import { bindRouter } from '../../proto/sockets.ts';
import { nd, type Tensors } from '../../proto/tensors.ts';
import { COMPUTATION } from '../../tasks/compute/table.ts';
import type { Task } from '../../tasks/table.ts';
import { wasmBackend } from '../../worker/compute/backends/wasm.ts';
import { startWorker } from '../../worker/worker.ts';
import { fromCoordinator } from '../proto/support.ts';
import { bytes, D, range, textsOfBlocks } from '../worker/support.ts';
import { EVERY_TASK, STATES, w } from '../worker/task-cases.ts';
import { mutated } from './mutations.ts';

/** Mutated messages between two valid rounds. */
const BATCH = 250;
const ofRows = (n: number) => nd(new Float32Array(n * D).fill(0.1), n, D);
const NUMBERS = [0, -1, 0.5, 1e9, 2 ** 31, 2 ** 53 - 1, 1e300];

/**
 * A worker on real sockets, and a coordinator that sends it `count` mutated messages: fields changed, frames truncated, wrong
 * sizes, other terms and rounds, layouts and tasks with absurd numbers, states of wrong shapes. In between, a round of all
 * tasks on all shards must give the same results as at first and leak no tensors. Messages that legitimately stop a worker
 * are left out. Returns the number of messages by outcome.
 */
export async function fuzzWorker(seed: number, count: number): Promise<Record<string, number>> {
  const rng = generator(BigInt(seed), 'fuzz-worker');
  const backend = await wasmBackend();
  const seen: Record<string, number> = { results: 0, failures: 0, 'valid rounds': 0 };
  let peer: Buffer | null = null;
  let validRound: { term: number; results: Map<string, unknown>; done: () => void } | null = null;
  let hellos: (() => void) | null = null;
  /** Messages that were dropped, as libzmq's thread did not get to send those before. */
  let dropped = 0;

  const receive = (from: Buffer, frames: Buffer[]) => {
    const { header, tensors } = decode(fromWorker, frames);
    if (header.type === 'hello') {
      peer = from;
      hellos?.();
    } else if (header.type === 'fetch') serve(header);
    else if (header.type === 'ping') void send({ type: 'pong' });
    else if (header.type === 'failure') {
      seen.failures++;
      assert.notEqual(header.term, validRound?.term, `a valid round failed: ${header.message}`);
    } else if (header.type === 'results') {
      seen.results++;
      if (header.term !== validRound?.term) return;
      for (const [i, units] of header.done.entries()) {
        const own = Object.entries(tensors).filter(([name]) => name.startsWith(`${i}/`));
        validRound.results.set(
          JSON.stringify(units),
          bytes(Object.fromEntries(own.map(([name, value]) => [name.slice(2), value]))),
        );
      }
      if (validRound.results.size === w.layout.shards) validRound.done();
    }
  };
  const router = await bindRouter('tcp://127.0.0.1:*', receive, undefined, {
    stalled() {
      dropped++;
    },
  });
  /** Sends a message, again and again until it was not dropped: on a busy machine a batch of them fills the queue. */
  const deliver = async (frames: Uint8Array[]) => {
    for (let before = -1; before !== dropped; ) {
      before = dropped;
      await router.send(peer!, frames);
      if (before !== dropped) await sleep(20);
    }
  };
  const send = (message: FromCoordinator, tensors?: Tensors) => deliver(encode(message, tensors));
  const joined = new Promise<void>((resolve) => {
    hellos = resolve;
  });
  let ended: unknown = null;
  const worker = startWorker({
    computation: COMPUTATION,
    places: [{ connect: router.address }],
    backend,
    backendName: 'wasm',
    name: '',
    dataRoots: ['.'],
    reconnectFor: 600_000,
    log: () => {},
  });
  worker.done.then(
    () => (ended = 'said goodbye'),
    (error) => (ended = error),
  );

  function serve({ request, blocks, sample, texts }: Extract<FromWorker, { type: 'fetch' }>): void {
    // It has none.
    if (sample) return void send({ type: 'rows', request, blocks });
    const exist = blocks.every((index) => index < blockCount(w.layout));
    if (texts && exist) return void send({ type: 'rows', request, blocks }, textsOfBlocks(w.layout, blocks));
    const parts = exist ? blocks.map((index) => block(w.layout, index)) : [];
    const rows = parts.flatMap(({ start, count }) => [...w.raw.subarray(start * D, (start + count) * D)]);
    if (exist)
      void send({ type: 'rows', request, blocks }, { rows: nd(Float32Array.from(rows), rows.length / D, D) });
    else void send({ type: 'rows', request, blocks: [], problem: 'there is no such block' });
  }

  let [versions, unreadable] = [1000, 0];
  const round = (term: number, tasks: Task[], units: WorkUnit[], number = 1) => {
    const names = Object.keys(STATES).map((name) => ({ name, version: versions }));
    versions += 1000;
    const about = { tasks, units, sum: false, uses: names, states: names };
    return { type: 'round' as const, term, round: number, ...about };
  };
  const welcome = (term: number): FromCoordinator => ({
    type: 'welcome',
    worker: 'w1',
    term,
    file: null,
    layout: w.layout,
  });
  const all = range(w.layout.shards).map(w.unit);
  const states = prefixed(Object.entries(STATES));

  /** Sends a welcome and a valid round, and returns the results of all tasks. */
  async function runValidRound(term: number): Promise<unknown> {
    const results = new Map<string, unknown>();
    const complete = new Promise<void>((resolve) => {
      validRound = { term, results, done: resolve };
    });
    await send(welcome(term));
    await send(round(term, EVERY_TASK, all), states);
    const timer = new AbortController();
    const timeout = sleep(60_000, null, { signal: timer.signal }).then(
      () => Promise.reject(new Error('the worker does not answer')),
      () => {},
    );
    await Promise.race([complete, worker.done, timeout]);
    timer.abort();
    assert.equal(ended, null, `the worker ended: ${ended}`);
    seen['valid rounds']++;
    validRound = null;
    return [...results].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  try {
    await joined;
    const expected = await runValidRound(1);
    const live = backend.live();
    let term = 2;
    for (let sent = 0; sent < count; term += 2) {
      // Two terms per batch, so that forged messages for the next term do not hit the one of the valid round.
      await send(welcome(term));
      for (let i = 0; i < BATCH && sent < count; i++, sent++) {
        const [message, tensors] = forged(rng, term, 1);
        const frames = rng.below(2) ? mutated(rng, message, tensors) : encode(message, tensors);
        const header = decodedHeader(frames);
        // A worker leaves after a message that it cannot read.
        if (!header) unreadable++;
        if (!header || header.type === 'stop' || header.type === 'refuse') continue;
        // A later round makes all others of this term outdated, and the worker reads only their states: sent only rarely.
        if (header.type === 'round' && header.term === term && header.round > 1 && i < BATCH - 5) continue;
        await deliver(frames);
        if (i % 10 === 0) await setImmediate();
      }
      assert.deepEqual(await runValidRound(term + 1), expected, `seed ${seed}, after ${sent} messages`);
      assert.equal(backend.live(), live, `tensors left behind, seed ${seed}, after ${sent} messages`);
    }
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
  } finally {
    worker.leave();
    await Promise.race([worker.done.catch(() => {}), sleep(2000)]);
    router.close();
  }
  return { ...seen, malformed: unreadable, ...worker.refused() };

  /** A valid message, or a well-formed one with absurd content. */
  function forged(rng: Rng, term: number, number: number): [object, Tensors] {
    const task = EVERY_TASK[rng.below(EVERY_TASK.length)];
    const unit = all[rng.below(all.length)];
    const one = round(term, [task], [unit], number);
    switch (rng.below(9)) {
      case 0:
        return [absurd(rng, { ...welcome(term + 0.5 * 2 ** 40) }, 'layout'), {}];
      case 1:
        return [{ ...one, tasks: [absurd(rng, { one: { ...task } }, 'one').one] }, states];
      case 2:
        return [{ ...one, units: [absurd(rng, { unit: { ...unit } }, 'unit').unit] }, states];
      case 3:
      case 4:
        return [one, corrupted(rng, states)];
      case 5:
        return [{ type: 'rows', request: rng.below(50), blocks: [0] }, { rows: ofRows(1 + rng.below(40)) }];
      case 6:
        return [{ type: 'pong' }, {}];
      case 7:
        return [round(term + (rng.below(2) ? 2 ** 40 : -1), [task], [unit], number), states];
      default:
        return [one, states];
    }
  }
}

/** A copy in which one number of `part` is absurd; the same without numbers. */
function absurd(rng: Rng, message: Record<string, unknown>, part: string): Record<string, unknown> {
  const inside = { ...(message[part] as Record<string, unknown>) };
  const names = Object.keys(inside).filter((name) => typeof inside[name] !== 'string' || name === 'seed');
  if (!names.length) return message;
  const value = NUMBERS[rng.below(NUMBERS.length)];
  const name = names[rng.below(names.length)];
  inside[name] = name === 'seed' ? '9'.repeat(20) : value;
  return { ...message, [part]: inside };
}

/** The tensors with one of another length, shape or type, with other values, or missing. */
function corrupted(rng: Rng, tensors: Tensors): Tensors {
  const names = Object.keys(tensors);
  const name = names[rng.below(names.length)];
  const { shape, data } = tensors[name];
  const Kind = data.constructor as new (length: number) => typeof data;
  const sized = (...shape: number[]) => nd(new Kind(shape.reduce((a, b) => a * b, 1)), ...shape);
  switch (rng.below(6)) {
    case 0:
      return { ...tensors, [name]: sized(...shape.map((size) => size + 1)) };
    case 1:
      return { ...tensors, [name]: nd(data, ...shape.toReversed()) };
    case 2:
      return { ...tensors, [name]: nd(Float32Array.from(data), ...shape) };
    case 3:
      return {
        ...tensors,
        [name]: nd(
          Int32Array.from(data, () => NUMBERS[rng.below(5)]),
          ...shape,
        ),
      };
    case 4: {
      const other = nd(data.slice() as typeof data, ...shape);
      other.data[rng.below(data.length)] = NUMBERS[rng.below(NUMBERS.length)];
      return { ...tensors, [name]: other };
    }
    default: {
      const { [name]: _, ...rest } = tensors;
      return rest;
    }
  }
}

/** The header of a valid message, else null. */
function decodedHeader(frames: Uint8Array[]): FromCoordinator | null {
  try {
    return decode(fromCoordinator, frames).header;
  } catch (error) {
    if (!(error instanceof MalformedMessage)) throw error;
    return null;
  }
}
