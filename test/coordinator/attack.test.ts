// What a peer with a good key could try, besides mutated messages (fuzz.test.ts).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Packr } from 'msgpackr';
import { createMembership } from '../../coordinator/membership.ts';
import { printable } from '../../data/printable.ts';
import { byPrefix, decode, MalformedMessage, prefixed } from '../../proto/codec.ts';
import { type FromCoordinator, type FromWorker, fromWorker, PROTOCOL } from '../../proto/messages.ts';
import { nd, type Tensors } from '../../proto/tensors.ts';

const layout = { rows: 100, dim: 2, shards: 4, blockRows: 16, seed: '0' };

function place() {
  const sent: [string, FromCoordinator][] = [];
  let clock = 0;
  const membership = createMembership({
    layout,
    file: null,
    term: 7,
    timeout: 1e9,
    send: (peer, message) => void sent.push([peer, message]),
    now: () => clock++,
    emit: () => {},
    log: () => {},
  });
  const hello = (n: number): FromWorker => ({
    type: 'hello',
    protocol: PROTOCOL,
    identity: 'wasm/1',
    backend: 'wasm',
    host: 'h',
    pid: n,
    name: '',
    session: n.toString(16).padStart(32, '0'),
  });
  return { membership, sent, hello };
}

test('tensors that lie over one another are refused before any is copied', () => {
  const message = (count: number) => {
    const tensors = Array.from({ length: count }, (_, i) => ({
      ...{ name: `t${i}`, dtype: 'uint8', shape: [100] },
      ...{ frame: 1, at: 0 },
    }));
    return [new Packr({ useRecords: false }).pack({ type: 'ping', tensors }), Buffer.alloc(100)];
  };
  assert.equal(decode(fromWorker, message(1)).tensors.t0.data.length, 100);
  assert.throws(
    () => decode(fromWorker, message(2)),
    (error) => error instanceof MalformedMessage && /lies over others/.test(error.message),
  );
});

test('a message of many results and many tensors is sorted out in one pass', () => {
  const parts = Array.from({ length: 20_000 }, (_, i): [number, Tensors] => [
    i,
    { x: nd(new Uint8Array(1)) },
  ]);
  const all = prefixed(parts);
  const begun = performance.now();
  const found = byPrefix(all);
  assert.equal(found.size, parts.length);
  assert.deepEqual(Object.keys(found.get('777')!), ['x']);
  assert.ok(performance.now() - begun < 1000);
});

test('workers without names may come and go for ever; as many as there is room for are kept in mind', () => {
  const { membership, sent, hello } = place();
  for (let n = 1; n <= 3000; n++) {
    membership.receive(`p${n}`, hello(n), {});
    assert.deepEqual(sent.at(-1)![1].type, 'welcome', `worker ${n}`);
    if (n > 2) membership.receive(`p${n}`, { type: 'bye' }, {});
  }
  assert.ok(membership.peers().length <= 1024);
  // Those that stayed are not pushed out.
  assert.ok(membership.isHere('p1') && membership.isHere('p2'));
});

test('with as many at work, one more is refused', () => {
  const { membership, sent, hello } = place();
  for (let n = 1; n <= 1025; n++) membership.receive(`p${n}`, hello(n), {});
  assert.deepEqual(sent.at(-1), ['p1025', { type: 'refuse', reason: 'there are 1024 workers already' }]);
});

test('nothing that others say moves the cursor of a terminal', () => {
  assert.equal(printable('a\u001b[2Jb\u009bc\rd\te\nf'), 'a\ufffd[2Jb\ufffdc\ufffdd\te\nf');
});
