import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { noCounts } from '../../../coordinator/scheduler/counts.ts';
import { Registry } from '../../../coordinator/scheduler/registry.ts';
import { type FromCoordinator, type FromWorker, PROTOCOL } from '../../../proto/messages.ts';
import type { Event } from '../../../view/events.ts';

type Hello = Extract<FromWorker, { type: 'hello' }>;
const HELLO = { type: 'hello' as const, protocol: PROTOCOL, identity: 'wasm/1', backend: 'wasm', host: 'h' };

/** A registry of which nothing but the test hears. */
function setUp() {
  const clock = { now: 0 };
  const sent: [string, FromCoordinator][] = [];
  const events: Event[] = [];
  /** Who was told to the dispatcher. */
  const told: string[] = [];
  const counts = noCounts();
  const registry = new Registry({
    layout: { rows: 100, dim: 2, shards: 4, blockRows: 16, seed: '0' },
    file: null,
    term: 7,
    heartbeatTimeout: 5000,
    dispatcher: {
      join: (worker) => void told.push(`${worker} joins`),
      leave(worker) {
        told.push(`${worker} leaves`);
        return ['moments'];
      },
    },
    counts,
    send: (peer, message) => void sent.push([peer, message]),
    now: () => clock.now,
    emit: (event) => void events.push(event),
    log: () => {},
  });
  /** Process `n` says hello on connection `p<n>`. */
  const hello = (n: number, about: Partial<Hello> = {}) => {
    const session = n.toString(16).padStart(32, '0');
    registry.hello(`p${n}`, { ...HELLO, pid: n, name: '', session, ...about });
    return registry.at(`p${n}`);
  };
  return { registry, clock, sent, events, told, counts, hello };
}

describe('the registry', () => {
  test('welcomes a worker, then tells of it', async () => {
    const { registry, sent, events, told, hello } = setUp();
    const joined = registry.joined(1);
    hello(1, { why: 'asked for', gpu: 'H100' });
    await joined;
    const [[peer, message]] = sent;
    assert.deepEqual([peer, message.type], ['p1', 'welcome']);
    assert.deepEqual(told, ['w1 joins']);
    const about = { name: '', pid: 1, host: 'h', backend: 'wasm', identity: 'wasm/1', why: 'asked for' };
    assert.deepEqual(events, [{ type: 'worker', worker: 'w1', ...about, gpu: 'H100' }]);
    assert.deepEqual(registry.backend(), { name: 'wasm', why: 'asked for' });
    assert.equal(registry.peerOf('w1'), 'p1');
  });

  test('says how each worker left', () => {
    const { registry, clock, events, told, counts, hello } = setUp();
    const [, second] = [1, 2, 3, 4, 5, 6].map((n) => hello(n));
    registry.bye(second!);
    registry.ended(3, 'h', 'killed', 'killed by SIGKILL');
    registry.ended(4, 'h', 'exited', 'out of device memory');
    registry.stalled('p5');
    clock.now = 5001;
    assert.ok(registry.hear(registry.at('p6')!));
    registry.dropSilent();
    registry.cut('the list of keys has changed');
    assert.deepEqual(
      events.flatMap((event) =>
        event.type === 'worker-gone' ? [[event.worker, event.how, event.reason, ...event.tasks]] : [],
      ),
      [
        ['w2', 'goodbye', 'said goodbye', 'moments'],
        ['w3', 'killed', 'killed by SIGKILL', 'moments'],
        ['w4', 'exited', 'out of device memory', 'moments'],
        ['w5', 'stalled', 'does not read what it is sent', 'moments'],
        ['w1', 'silent', 'silent for 5 s', 'moments'],
        ['w6', 'cut', 'the list of keys has changed', 'moments'],
      ],
    );
    assert.equal(counts.workersSuspected, 1);
    assert.equal(told.filter((line) => line.endsWith('leaves')).length, 6);
    assert.deepEqual(
      registry.members().map(({ state }) => state),
      ['silent', 'gone', 'gone', 'gone', 'gone', 'gone'],
    );
    assert.equal(registry.mostAtOnce(), 6);
  });

  test('takes back whoever is heard again, but nobody whose process has ended', () => {
    const { registry, told, hello } = setUp();
    const [one, two] = [hello(1)!, hello(2)!];
    registry.bye(one);
    assert.ok(registry.hear(one));
    registry.ended(2, 'h', 'killed', 'killed by SIGKILL');
    assert.ok(!registry.hear(two));
    assert.deepEqual(told, ['w1 joins', 'w2 joins', 'w1 leaves', 'w1 joins', 'w2 leaves']);
  });

  test('gives the number and label of a worker that left to the next of its name and host', () => {
    const { registry, hello } = setUp();
    registry.bye(hello(1, { name: 'local/0' })!);
    assert.equal(hello(2, { name: 'local/0', host: 'elsewhere' })!.worker, 'w2');
    assert.equal(hello(3, { name: 'local/0' })!.worker, 'w1');
    assert.deepEqual(
      registry.members().map(({ label, host, joins }) => [label, host, joins]),
      [
        ['local/0', 'h', 2],
        ['local/0/w2', 'elsewhere', 1],
      ],
    );
  });

  test('knows a session again on a new connection', () => {
    const { registry, hello } = setUp();
    const first = hello(1)!;
    registry.hello('another', { ...HELLO, pid: 1, name: '', session: first.about.session });
    assert.equal(registry.at('another'), first);
    assert.equal(registry.at('p1'), undefined);
    assert.deepEqual(registry.peers(), ['another']);
  });
});
