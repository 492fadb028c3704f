// What proto/README.md says of messages, limits and rows, for workers in other languages.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { blockHash, MAX_READ_BYTES } from '../../data/blocks.ts';
import { layoutOf, shardBlocks } from '../../model/layout.ts';
import { decode, MAX_DEPTH, MAX_FRAME, MAX_HEADER, MAX_VALUES } from '../../proto/codec.ts';
import { fromWorker, MOST_ABOUT, MOST_DONE, MOST_FETCHED, MOST_WHY, PROTOCOL } from '../../proto/messages.ts';
import { MAX_MESSAGE } from '../../proto/task-limits.ts';
import { DTYPES } from '../../proto/tensors.ts';
import { FROM_COORDINATOR, FROM_WORKER } from './support.ts';

const readme = readFileSync(new URL('../../proto/README.md', import.meta.url), 'utf8');
/** The row of a table with this first cell, without that cell. */
const row = (start: string, text = readme) => {
  const lines = text.split('\n').filter((line) => line.startsWith(`| ${start} |`));
  assert.equal(lines.length, 1, `${lines.length} rows begin with ${start}`);
  return lines[0].slice(start.length + 5, -2);
};

describe('rows', () => {
  test('are divided and assigned as in the table', () => {
    const layout = layoutOf(200, 2, 4, 42n);
    assert.deepEqual(layout, { rows: 200, dim: 2, shards: 4, blockRows: 16, seed: '42' });
    const assigned = shardBlocks(layout).map((blocks) => blocks.map(({ index }) => index).join(' '));
    assert.equal(row('rows 200, shards 4, blockRows 16, seed 42'), assigned.join(' | '));
  });

  test('have the stated hash', () => {
    const hash = Buffer.from(blockHash(Float32Array.of(1, 2, 3, 4))).toString('hex');
    assert.ok(readme.includes(`Rows (1, 2), (3, 4): \`${hash}\``));
  });
});

describe('messages', () => {
  test('are complete, with all their fields', () => {
    const all = { ...FROM_WORKER, ...FROM_COORDINATOR };
    for (const [type, messages] of Object.entries(all)) {
      const described = row(`\`${type}\``);
      for (const field of messages
        .flatMap((message) => Object.keys(message))
        .filter((name) => name !== 'type'))
        assert.match(described, new RegExp(`\\b${field}\\b`), `${type} has ${field}`);
    }
  });

  test('have the stated version, types and limits', () => {
    assert.match(readme, new RegExp(`^# .*version ${PROTOCOL}\n`));
    assert.equal(row('`dtype`').match(/`\w+`/g)!.join(' '), DTYPES.map((name) => `\`${name}\``).join(' '));
    assert.equal(row('header (`MAX_HEADER`)'), `${MAX_HEADER / 2 ** 20} MiB`);
    assert.equal(row('message, all frames (`MAX_MESSAGE`)'), `${MAX_MESSAGE / 2 ** 30} GiB`);
    const frame = row('frame of tensors, and any frame of a worker (`MAX_FRAME`)');
    assert.ok(frame.startsWith(`${MAX_FRAME / 2 ** 10} KiB;`), frame);
    const header = row('values in a header, including keys; nesting of lists and maps');
    assert.equal(header, `${MAX_VALUES.toLocaleString('en')}; ${MAX_DEPTH}`);
    assert.ok(row('strings of `hello`; its `why`').startsWith(`${MOST_ABOUT}; ${MOST_WHY}.`));
    assert.ok(row('`blocks` of a `fetch`').startsWith(`${MOST_FETCHED.toLocaleString('en')},`));
    assert.ok(row('`blocks` of a `fetch`').includes(`${MAX_READ_BYTES / 2 ** 20} MiB of rows`));
    const done = row('units in `done` of `results`; tasks in `seconds`');
    assert.ok(done.startsWith(`${MOST_DONE.toLocaleString('en')};`));
  });

  test('look like the example', () => {
    const [, bytes] = readme.match(/fetch \{request: 3, blocks: \[2, 300\]\}:\n +([0-9a-f ]+)\n/)!;
    const { header } = decode(fromWorker, [Buffer.from(bytes.replaceAll(' ', ''), 'hex')]);
    assert.deepEqual(header, { type: 'fetch', request: 3, blocks: [2, 300] });
  });
});
