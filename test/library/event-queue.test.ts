import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createEventQueue } from '../../library/run.ts';
import type { TimedEvent } from '../../run/events.ts';

const warning = (i: number): TimedEvent => ({ time: '', type: 'warning', message: String(i) });
const proposal = (epoch: number): TimedEvent => ({
  ...{ time: '', type: 'split', epoch, clusters: [0], points: [1, 1], logRatio: -1, accepted: false },
});

async function all(reader: AsyncIterator<TimedEvent, undefined>): Promise<TimedEvent[]> {
  const events: TimedEvent[] = [];
  for await (const event of { [Symbol.asyncIterator]: () => reader }) events.push(event);
  return events;
}

describe('the event queue', () => {
  test('delivers all events in order, including those from before reading began', async () => {
    const queue = createEventQueue();
    for (let i = 0; i < 5000; i++) queue.push(warning(i));
    const reading = all(queue.read());
    await new Promise(setImmediate);
    for (let i = 5000; i < 5010; i++) queue.push(warning(i));
    queue.end();
    const messages = (await reading).map((event) => event.type === 'warning' && Number(event.message));
    assert.deepEqual(messages, [...Array(5010).keys()]);
  });

  test('a waiting reader is woken by an event, and by the end', async () => {
    const queue = createEventQueue();
    const reader = queue.read();
    const next = reader.next();
    queue.push(warning(1));
    assert.deepEqual(await next, { value: warning(1), done: false });
    const last = reader.next();
    queue.end();
    assert.deepEqual(await last, { value: undefined, done: true });
    assert.deepEqual(await reader.next(), { value: undefined, done: true });
  });

  test('an error ends it, after the remaining events', async () => {
    const queue = createEventQueue();
    const reader = queue.read();
    queue.push(warning(1));
    queue.end(new Error('over'));
    queue.end();
    assert.equal((await reader.next()).done, false);
    await assert.rejects(async () => reader.next(), { message: 'over' });
  });

  test('without a reader it stays bounded: rejected proposals go first', async () => {
    const queue = createEventQueue(100);
    for (let i = 0; i < 50; i++) queue.push(warning(i));
    for (let i = 0; i < 10_000; i++) queue.push(proposal(i));
    queue.end();
    const events = await all(queue.read());
    assert.ok(events.length < 200, String(events.length));
    assert.equal(events.filter(({ type }) => type === 'warning').length, 50);
    assert.deepEqual(events.at(-1), proposal(9999));
  });
});
