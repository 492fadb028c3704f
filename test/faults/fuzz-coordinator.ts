import assert from 'node:assert/strict';
import { createScheduler } from '../../coordinator/rounds/scheduler.ts';
import { generator } from '../../model/random.ts';
import { decode, encode, MalformedMessage } from '../../proto/codec.ts';
import { type FromCoordinator, type FromWorker, fromWorker, type WorkUnit } from '../../proto/messages.ts';
import { nd, type Tensors } from '../../proto/tensors.ts';
import { helloOf, rulesOf } from '../coordinator/rounds/rules.ts';
import { mutated } from './mutations.ts';

const SHARDS = 4;
const layout = { rows: 100, dim: 2, shards: SHARDS, blockRows: 16, seed: '0' };
const units: WorkUnit[] = Array.from({ length: SHARDS }, (_, shard) => ({ shard, from: 0, to: 0 }));

/**
 * A coordinator with a round in progress at an honest worker, and an authenticated peer that sends `count` mutated messages:
 * replays, other terms and rounds, units that are not its own. Nothing may throw, none of its results may count, and the
 * honest worker must be able to finish. Returns the number of messages by outcome.
 */
export async function fuzzCoordinator(seed: number, count: number): Promise<Record<string, number>> {
  const rng = generator(BigInt(seed), 'fuzz');
  let clock = 0;
  const sent: { peer: string; message: FromCoordinator }[] = [];
  const { dispatcher, receive, counts, tick } = createScheduler({
    tasks: rulesOf(['net'], { T: 3 }),
    layout,
    file: null,
    term: 77,
    identity: 'wasm/4.22.0',
    heartbeatTimeout: 1e12,
    send: (peer, message) => {
      if (peer === 'honest') sent.push({ peer, message });
    },
    now: () => clock,
    emit: () => {},
    log: () => {},
  });
  const hello = (pid: number): FromWorker => helloOf(pid, { identity: 'wasm/4.22.0' });
  receive('honest', hello(1), {});
  dispatcher.publish('net', { params: nd(Float32Array.of(1, 2)) });
  const spec = { tasks: [{ task: 'statistics' as const, diagonal: false, block: 16 }], units, sum: true };
  const round = dispatcher.round(spec);
  const request = sent.map(({ message }) => message).find((message) => message.type === 'round');
  assert.ok(request?.type === 'round' && request.units.length === SHARDS);
  // The peer joins after the round began: no unit is assigned to it.
  receive('liar', hello(2), {});

  const tensors: Tensors = { '0/0/T': nd(Float64Array.of(1, 2, 3)) };
  const results = (units: WorkUnit[], term: number, number: number): [FromWorker, Tensors] => [
    { type: 'results', term, round: number, done: [units], seconds: {}, rowsRead: 0, memory: 0 },
    tensors,
  ];
  const number = request.round;
  const valid: [FromWorker, Tensors][] = [
    results(units, 77, number),
    results([units[1]], 77, number),
    results(units, 76, number),
    results(units, 77, number - 1),
    [{ type: 'failure', term: 77, round: number, unit: units[0], mistake: true, message: 'a lie' }, {}],
    [{ type: 'fetch', request: 1, blocks: [0, 1] }, {}],
    [{ type: 'ping' }, {}],
    [{ type: 'bye' }, {}],
    [hello(2), {}],
  ];
  let ended: unknown = null;
  round.then(
    () => (ended = 'resolved'),
    (error) => (ended = error),
  );
  const seen = { malformed: 0, understood: 0 };
  for (let i = 0; i < count; i++) {
    const [message, own] = valid[rng.below(valid.length)];
    const frames = rng.below(10) ? mutated(rng, message, own) : encode(message, own);
    let decoded: { header: FromWorker; tensors: Tensors };
    try {
      decoded = decode(fromWorker, frames);
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      seen.malformed++;
      continue;
    }
    seen.understood++;
    // The session of another worker is secret: this does not test guessing one.
    if (decoded.header.type === 'hello' && decoded.header.session !== helloOf(2).session) continue;
    clock++;
    receive('liar', decoded.header, decoded.tensors);
    tick();
  }
  await null;
  assert.equal(ended, null, 'the round is unchanged');
  receive('honest', valid[0][0], { '0/0/T': nd(Float64Array.of(7, 8, 9)) });
  const [result] = await round;
  assert.deepEqual([...result.tasks[0].T.data], [7, 8, 9]);
  assert.deepEqual(({} as Record<string, unknown>).polluted, undefined);
  return { ...seen, ...Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0)) };
}
