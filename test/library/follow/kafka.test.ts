// Lines of a topic of Kafka: a broker on this machine that speaks its protocol, as far as that is asked for.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { UserError } from '../../../base/user-error.ts';
import { Unreachable } from '../../../data/remote/address.ts';
import { createTopicLines, openTopic, parseTopic } from '../../../library/follow/kafka.ts';
import { type Partition, startBroker } from './kafka-broker.ts';

const partition = (messages: (string | null)[], first = 0): Partition => ({ first, messages });
const numbered = (partition: number, count: number) =>
  Array.from({ length: count }, (_, i) => `[${partition},${i}]`);

async function started(partitions: Partition[]) {
  const broker = await startBroker('rows', partitions);
  const topic = await openTopic(broker.address);
  after(async () => {
    await topic.close();
    await broker.close();
  });
  const linesFrom = (from: number[], more: object = {}) =>
    createTopicLines(topic, { from, rows: 20, every: 60, once: true, pause: 300, log() {}, ...more });
  return { broker, topic, linesFrom };
}
/** The next piece, its lines, and where the one after it begins. */
async function pieceOf(lines: ReturnType<typeof createTopicLines>) {
  let text = '';
  const count = await lines.next((bytes) => {
    text += Buffer.from(bytes);
  });
  return { count, lines: text.split('\n').filter(Boolean), offsets: lines.position!().kafka!.offsets };
}

describe('addresses', () => {
  test('have brokers and a topic', () => {
    assert.deepEqual(parseTopic('kafka://a:9092,[::1]:9093/my.topic-1_x'), {
      name: 'my.topic-1_x',
      brokers: [
        { host: 'a', port: 9092 },
        { host: '::1', port: 9093 },
      ],
    });
  });
  test('with anything else are refused, and no password is repeated', () => {
    for (const bad of [
      '',
      'a/t',
      'a:9092',
      'a:9092/',
      'a:9092/t/u',
      'a:9092/t?x=1',
      'a:9092,/t',
      'me:secret@a:1/t',
      'a:70000/t',
      'a:1/ä',
    ])
      assert.throws(
        () => parseTopic(`kafka://${bad}`),
        (error: Error) =>
          error instanceof UserError &&
          /must look like kafka:/.test(error.message) &&
          !/secret/.test(error.message),
        bad,
      );
  });
});

describe('lines of a topic', () => {
  test('are those of all partitions, each once, wherever a piece ends', async () => {
    const { linesFrom } = await started([
      partition(numbered(0, 70)),
      partition([]),
      partition(numbered(2, 333), 5),
    ]);
    let lines = linesFrom([]);
    const found: string[] = [];
    for (let piece = await pieceOf(lines); piece.count; piece = await pieceOf(lines)) {
      assert.ok(piece.count === 20 || found.length + piece.count === 398);
      found.push(...piece.lines);
      // As after a kill: another process goes on from the manifest.
      if (found.length % 3) lines = linesFrom(piece.offsets);
    }
    assert.deepEqual(found.sort(), [...numbered(0, 70), ...numbered(2, 333).slice(5)].sort());
  });

  test('skip messages without a value; a piece ends where a message does', async () => {
    const { linesFrom } = await started([
      partition([null, ' \n', '1,2\n3,4\n\n', null, '5,6', '7,8\r\n9,10', '']),
    ]);
    const lines = linesFrom([], { rows: 3 });
    assert.equal(await lines.ending(), 'csv');
    assert.deepEqual(await pieceOf(lines), { count: 3, lines: ['1,2', '3,4', '5,6'], offsets: [5] });
    assert.deepEqual(await pieceOf(lines), { count: 2, lines: ['7,8\r', '9,10'], offsets: [6] });
    assert.equal(await lines.ending(), null);
  });

  test('are whole in their message: one that ends within quotes is refused by its offset', async () => {
    const { linesFrom } = await started([partition(['1,"a\nb"\r2,c', '3,"d', 'e",4'])]);
    const lines = linesFrom([], { rows: 2 });
    assert.deepEqual(await pieceOf(lines), { count: 2, lines: ['1,"a', 'b"\r2,c'], offsets: [1] });
    await assert.rejects(
      pieceOf(lines),
      /the message at offset 1 of partition 0 has a quote in line 1 that does not close/,
    );
  });

  test('of JSON and of CSV are pieces of their own', async () => {
    const { linesFrom } = await started([partition(['1,2', ' {"a": 1}', '[2]'])]);
    const lines = linesFrom([]);
    assert.deepEqual((await pieceOf(lines)).lines, ['1,2']);
    assert.equal(await lines.ending(), 'jsonl');
    assert.deepEqual((await pieceOf(lines)).lines, [' {"a": 1}', '[2]']);
  });

  test('are read one fetch ahead', async () => {
    const { broker, linesFrom } = await started([partition(numbered(0, 2000))]);
    const lines = linesFrom([], { rows: 10 });
    for (let i = 0; i < 12; i++) await pieceOf(lines);
    assert.equal(broker.fetches(), 1);
  });

  test('that come later are waited for, also in a partition that is new', async () => {
    const partitions = [partition(['[1]'])];
    const { linesFrom } = await started(partitions);
    const end = new AbortController();
    const lines = linesFrom([], { once: false, every: 0, signal: end.signal });
    assert.deepEqual(await pieceOf(lines), { count: 1, lines: ['[1]'], offsets: [1] });
    const next = pieceOf(lines);
    setTimeout(() => partitions.push(partition(['[2]', '[3]'])), 100);
    assert.deepEqual(await next, { count: 2, lines: ['[2]', '[3]'], offsets: [1, 2] });
    end.abort();
  });
});

describe('what cannot be read', () => {
  const refuses = (action: Promise<unknown>, says: RegExp) =>
    assert.rejects(action, (error: Error) => {
      assert.ok(error instanceof UserError, String(error));
      assert.match(error.message, says);
      return !error.message.includes('\n');
    });

  test('a topic that is not there', async () => {
    const { broker } = await started([]);
    const other = await openTopic(`kafka://127.0.0.1:${broker.port}/other`);
    await refuses(other.offsets(), /\/other: the broker has no such topic/);
    await other.close();
  });

  test('messages that the broker no longer has', async () => {
    const partitions = [partition(numbered(0, 30)), partition(numbered(1, 300), 9)];
    const { linesFrom } = await started(partitions);
    await refuses(
      linesFrom([0, 8]).ending(),
      /partition 1 is to be read from offset 8 on, and the broker has those from 9 to 300/,
    );
    await refuses(linesFrom([31, 9]).ending(), /partition 0 is to be read from offset 31/);
    await refuses(linesFrom([0, 9, 0]).ending(), /partition 2 .* no such partition/);
    // While they are read.
    const lines = linesFrom([], { rows: 100 });
    await pieceOf(lines);
    partitions[1].first = 290;
    await refuses(
      (async () => {
        while ((await pieceOf(lines)).count);
      })(),
      /partition 1 is to be read from offset \d+ on/,
    );
  });

  test('binary messages', async () => {
    const { linesFrom } = await started([partition(['1,2', '\0\x01x'])]);
    await refuses(pieceOf(linesFrom([])), /the message at offset 1 of partition 0 is binary/);
  });

  test('a broker that does not answer: refused once, waited for else', async () => {
    const partitions = [partition(numbered(0, 3))];
    const first = await startBroker('rows', partitions);
    const topic = await openTopic(first.address);
    await first.close();
    const options = { from: [], rows: 20, every: 0, pause: 300, log() {} };
    await assert.rejects(createTopicLines(topic, { ...options, once: true }).ending(), (error: Error) => {
      return error instanceof Unreachable && error.message.includes(`127.0.0.1:${first.port}`);
    });
    let again: Awaited<ReturnType<typeof startBroker>> | null = null;
    const log = (line: string) => {
      assert.match(line, /^dpmesh: warning: kafka:.* cannot be read \(.+\)$/);
      void startBroker('rows', partitions, first.port).then((broker) => {
        again = broker;
      });
    };
    const lines = createTopicLines(topic, { ...options, once: false, log });
    assert.deepEqual(await pieceOf(lines), { count: 3, lines: numbered(0, 3), offsets: [3] });
    await topic.close();
    await again!.close();
  });
});
