import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { noCounts } from '../../../coordinator/rounds/accounting.ts';
import { createRegistry } from '../../../coordinator/rounds/registry.ts';
import { buildId } from '../../../proto/build-id.ts';
import type { FromCoordinator, FromWorker } from '../../../proto/messages.ts';
import type { RunEvent } from '../../../run/events.ts';
import { helloOf } from './rules.ts';

type Hello = Extract<FromWorker, { type: 'hello' }>;

/** A registry that only the test listens to. */
function setUp() {
  const clock = { now: 0 };
  const sent: [string, FromCoordinator][] = [];
  const events: RunEvent[] = [];
  /** What the dispatcher was notified of. */
  const notified: string[] = [];
  const counts = noCounts();
  const registry = createRegistry({
    layout: { rows: 100, dim: 2, shards: 4, blockRows: 16, seed: '0' },
    file: null,
    term: 7,
    heartbeatTimeout: 5000,
    dispatcher: {
      serve() {},
      resize() {},
      join: (worker) => void notified.push(`${worker} joins`),
      leave(worker) {
        notified.push(`${worker} leaves`);
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
    registry.hello(`p${n}`, helloOf(n, about));
    return registry.memberAt(`p${n}`);
  };
  return { registry, clock, sent, events, notified, counts, hello };
}

describe('the registry', () => {
  test('welcomes a worker, then announces it', async () => {
    const { registry, sent, events, notified, hello } = setUp();
    const joined = registry.joined(1);
    hello(1, { why: 'asked for', gpu: 'H100' });
    await joined;
    const [[peer, message]] = sent;
    assert.deepEqual([peer, message.type], ['p1', 'welcome']);
    assert.deepEqual(notified, ['w1 joins']);
    const about = { name: '', pid: 1, host: 'h', backend: 'wasm', identity: 'wasm/1', why: 'asked for' };
    assert.deepEqual(events, [{ type: 'worker', worker: 'w1', ...about, gpu: 'H100' }]);
    assert.deepEqual(registry.backend(), { name: 'wasm', why: 'asked for' });
    assert.equal(registry.member('w1').peer, 'p1');
  });

  test('shows a folder to all workers, also to later ones, and waits for those that stay', async () => {
    const { registry, sent, hello } = setUp();
    const folder = { path: '/runs/x/labels', token: 'ab'.repeat(16) };
    const [one, two] = [hello(1)!, hello(2)!];
    const shown = registry.show(folder);
    registry.sees(one, undefined);
    registry.bye(two);
    await shown;
    hello(3);
    const told = sent.filter(([, { type }]) => type === 'folder').map(([peer]) => peer);
    assert.deepEqual(told, ['p1', 'p2', 'p3']);
    const again = registry.show(folder);
    registry.sees(one, 'no such file');
    await assert.rejects(again, /^UserError: worker w1 on h does not see the folder .*: no such file$/);
  });

  test('refuses another build of the same version, and names both; takes programs that name none', () => {
    const { sent, events, hello, registry } = setUp();
    hello(1, { version: '0.1.0+000000000000' });
    const [[, refusal]] = sent;
    assert.ok(refusal.type === 'refuse' && !refusal.retry);
    assert.equal(
      refusal.reason,
      `it is dpmesh 0.1.0+000000000000, this coordinator is ${buildId()}: install the same build on both`,
    );
    hello(2, { version: buildId() });
    hello(3);
    assert.deepEqual(
      events.map((event) => event.type === 'worker' && event.version),
      [buildId(), undefined],
    );
    assert.deepEqual(
      registry.members().map(({ version }) => version),
      [buildId(), null],
    );
  });

  test('with other rows, all workers are welcomed to them: those that are there at once, others when they say hello', () => {
    const { registry, sent, events, notified, hello } = setUp();
    const [, second] = [1, 2].map((n) => hello(n));
    registry.bye(second!);
    const before = events.length;
    sent.length = notified.length = 0;
    const layout = { rows: 100, dim: 1, shards: 4, blockRows: 16, seed: '0' };
    registry.serve({ layout, file: null, term: 8 });
    const welcome = { type: 'welcome', term: 8, file: null, layout };
    assert.deepEqual(sent, [['p1', { ...welcome, worker: 'w1' }]]);
    assert.deepEqual(notified, ['w1 joins']);
    assert.equal(events.length, before);
    // It does not know that the rows are others: on its old connection it is asked who it is.
    assert.equal(registry.memberAt('p2'), undefined);
    hello(2);
    hello(3);
    assert.deepEqual(sent.slice(1), [
      ['p2', { ...welcome, worker: 'w2' }],
      ['p3', { ...welcome, worker: 'w3' }],
    ]);
  });

  test('reports how each worker left', () => {
    const { registry, clock, events, notified, counts, hello } = setUp();
    const [, second] = [1, 2, 3, 4, 5, 6].map((n) => hello(n));
    registry.bye(second!);
    registry.ended(3, 'h', 'killed', 'killed by SIGKILL');
    registry.ended(4, 'h', 'exited', 'out of device memory');
    registry.stalled('p5');
    clock.now = 5001;
    assert.ok(registry.heardFrom(registry.memberAt('p6')!));
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
        ['w5', 'stalled', 'stopped reading its messages', 'moments'],
        ['w1', 'silent', 'silent for 5 s', 'moments'],
        ['w6', 'cut', 'the list of keys has changed', 'moments'],
      ],
    );
    assert.equal(counts.workersSuspected, 1);
    assert.equal(notified.filter((line) => line.endsWith('leaves')).length, 6);
    assert.deepEqual(
      registry.members().map(({ state }) => state),
      ['silent', 'gone', 'gone', 'gone', 'gone', 'gone'],
    );
    assert.equal(registry.peakCount(), 6);
  });

  test('readmits a worker that sends a message again, unless its process has ended', () => {
    const { registry, notified, hello } = setUp();
    const [one, two] = [hello(1)!, hello(2)!];
    registry.bye(one);
    assert.ok(registry.heardFrom(one));
    registry.ended(2, 'h', 'killed', 'killed by SIGKILL');
    assert.ok(!registry.heardFrom(two));
    assert.deepEqual(notified, ['w1 joins', 'w2 joins', 'w1 leaves', 'w1 joins', 'w2 leaves']);
  });

  test('gives the number and label of a worker that left to the next one with its name and host', () => {
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

  test('recognizes a session on a new connection', () => {
    const { registry, hello } = setUp();
    const first = hello(1)!;
    registry.hello('another', helloOf(1, { session: first.description.session }));
    assert.equal(registry.memberAt('another'), first);
    assert.equal(registry.memberAt('p1'), undefined);
    assert.deepEqual(registry.peers(), ['another']);
  });
});
