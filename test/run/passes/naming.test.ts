import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type NamedNode, nameIn, namingMessages } from '../../../model/description/naming-prompt.ts';
import { endpointAt, type NamingRequest, namesByModel } from '../../../run/passes/naming.ts';
import { type Asked, endpoint as fakeEndpoint } from '../../coordinator/fit/endpoint.ts';
import { scratchFolder } from '../../data/files.ts';

const node = (changes: Partial<NamedNode> = {}): NamedNode => ({
  ...{ share: 0.25, keywords: ['loan', 'bank'], texts: [], columns: [], children: [], siblings: [] },
  ...changes,
});

/** The fake endpoint, as `namesByModel` takes it. */
async function endpoint(answer: Parameters<typeof fakeEndpoint>[0]) {
  const server = await fakeEndpoint(answer);
  return { ...server, at: endpointAt(server.base, 'tiny', 'secret') };
}

/** Three clusters: 1 and 2 join to node 3, then 0 and 3 to node 4. */
const request: NamingRequest = {
  clusters: 3,
  joins: [
    { a: 1, b: 2 },
    { a: 0, b: 3 },
  ],
  node: (own, names) =>
    node({
      keywords: [`word${own}`],
      children: own === 3 ? [names.get(1)!, names.get(2)!] : own === 4 ? [names.get(0)!, names.get(3)!] : [],
    }),
};
const numberIn = ({ messages }: Asked) => /word(\d)/.exec(messages[1].content)![1];

const { folder } = scratchFolder();
let logs = 0;
const newLog = () => join(folder, `names${logs++}.jsonl`);

suite('names by a language model', () => {
  test('clusters first, joins after what they join; what was sent is kept, and not asked for again', async () => {
    const log = newLog();
    using server = await endpoint((asked) => `Name ${numberIn(asked)}`);
    const progress: number[] = [];
    const found = await namesByModel(server.at, request, { log, progress: (done) => progress.push(done) });
    assert.deepEqual(
      [...found.names].sort(),
      [0, 1, 2, 3, 4].map((own) => [own, `Name ${own}`]),
    );
    assert.deepEqual([found.asked, found.cached, found.tokens, found.problem], [5, 0, 35, null]);
    assert.deepEqual(progress, [1, 2, 3, 4, 5]);
    assert.match(server.questions[3].messages[1].content, /union of: Name 1 \| Name 2/);
    assert.equal(server.questions[0].headers.authorization, 'Bearer secret');
    const text = readFileSync(log, 'utf8');
    assert.equal(text.trim().split('\n').length, 5);
    assert.ok(text.includes('word4') && !text.includes('secret'));
    const again = await namesByModel(server.at, request, { log });
    assert.deepEqual([again.names, again.asked, again.cached], [found.names, 0, 5]);
  });

  test('names that nodes have already are nobody else’s, and nodes can be left out', async () => {
    using server = await endpoint((asked) => (numberIn(asked) === '1' ? 'Kept' : `Name ${numberIn(asked)}`));
    const before = new Map([[0, 'Kept']]);
    const asked = { ...request, joins: [], before, skip: (own: number) => own === 0 };
    const { names } = await namesByModel(server.at, asked, { log: newLog() });
    assert.deepEqual([...names], [[2, 'Name 2']]);
  });

  test('a name that is taken is asked for again, with those that are', async () => {
    const log = newLog();
    using server = await endpoint(({ messages }) =>
      messages[1].content.includes('taken: Same') ? 'Other' : 'Same',
    );
    const { names } = await namesByModel(server.at, { ...request, clusters: 2, joins: [] }, { log });
    assert.deepEqual([...names.values()].sort(), ['Other', 'Same']);
  });

  test('answers that are none: those clusters have no name, and the others do', async () => {
    const log = newLog();
    const answers: Record<string, string> = { 0: 'x'.repeat(10_000), 1: '…!', 2: 'Fine' };
    using server = await endpoint((asked) => answers[numberIn(asked)]);
    const { names, problem } = await namesByModel(server.at, { ...request, joins: [] }, { log });
    assert.deepEqual([[...names], problem], [[[2, 'Fine']], null]);
  });

  test('an answer that is too long is neither read nor kept', async () => {
    const log = newLog();
    using server = await endpoint((asked) =>
      numberIn(asked) === '0' ? `a${'*'.repeat(300_000)}a` : `Name ${numberIn(asked)}`,
    );
    const { names, problem } = await namesByModel(server.at, { ...request, joins: [] }, { log });
    assert.deepEqual(
      [names.get(0), names.get(1), names.get(2), problem],
      [undefined, 'Name 1', 'Name 2', null],
    );
    assert.ok(readFileSync(log, 'utf8').length < 10_000);
  });

  test('an endpoint that is busy is asked again; one that has no such model, no more', async () => {
    const log = newLog();
    using busy = await endpoint((_, i) => (i === 0 ? { status: 503, body: 'loading' } : 'Fine'));
    const one = { ...request, clusters: 1, joins: [] };
    assert.deepEqual([...(await namesByModel(busy.at, one, { log })).names], [[0, 'Fine']]);
    using wrong = await endpoint(() => ({ status: 404, body: '{"error":"no model\u001b[2J tiny"}' }));
    const { names, problem } = await namesByModel(wrong.at, request, { log: newLog() });
    assert.equal(names.size, 0);
    assert.match(problem!, /answers 404: .*no model.* tiny/);
    assert.ok(!problem!.includes('\u001b') && wrong.questions.length <= 4);
  });

  test('one that never answers, or with nonsense, is given up', async () => {
    const log = newLog();
    using silent = await endpoint(() => null);
    const found = await namesByModel(silent.at, request, { log, answerMs: 50 });
    assert.match(found.problem!, /no answer in 0.05 s/);
    using odd = await endpoint(() => ({ status: 200, body: '<html>' }));
    assert.match(
      (await namesByModel(odd.at, request, { log })).problem!,
      /not one of chat completions: <html>/,
    );
  });

  test('one whose answer stalls is given up too, whatever has been collected as garbage', async () => {
    setFlagsFromString('--expose-gc');
    const collecting = setInterval(runInNewContext('gc'), 20);
    const server = createServer((_, response) => void response.write(' ')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const { port } = server.address() as AddressInfo;
      const at = endpointAt(`http://127.0.0.1:${port}/v1`, 'tiny', null);
      const found = await namesByModel(at, request, { log: newLog(), answerMs: 300 });
      assert.match(found.problem!, /no answer in 0.3 s/);
    } finally {
      clearInterval(collecting);
      server.closeAllConnections();
      server.close();
    }
  });

  test('is cancelled at once, with the names so far', async () => {
    const log = newLog();
    const cancel = new AbortController();
    using server = await endpoint((asked) => (numberIn(asked) === '1' ? null : `Name ${numberIn(asked)}`));
    const { names, problem } = await namesByModel(server.at, request, {
      ...{ log, signal: cancel.signal },
      progress(done) {
        if (done === 2) cancel.abort();
      },
    });
    assert.deepEqual([[...names.keys()].sort(), problem], [[0, 2], null]);
  });
});

test('addresses of endpoints', () => {
  const url = (base: string) => endpointAt(base, 'm', null).url;
  assert.equal(url('http://localhost:11434/v1/'), 'http://localhost:11434/v1/chat/completions');
  assert.equal(url('http://localhost:8080'), 'http://localhost:8080/v1/chat/completions');
  assert.equal(url('https://x.example/v1/chat/completions'), 'https://x.example/v1/chat/completions');
  assert.throws(() => url('localhost'), /--name-with localhost is no address/);
  assert.throws(() => url('file:///etc'), /no address of HTTP/);
  assert.throws(() => url('https://me:pw@x.example'), /password/);
  assert.throws(() => endpointAt('http://x.example/v1', 'm', 'key'), /unencrypted/);
  for (const key of ['se\ncret', 'se“cret'])
    assert.throws(
      () => endpointAt('http://localhost:8080', 'm', key),
      ({ message }: Error) => /^OPENAI_API_KEY must consist/.test(message) && !/cret/.test(message),
    );
});

test('names in answers', () => {
  for (const answer of [
    'Bank loans',
    ' "Bank loans." ',
    '**Bank loans**',
    'Name: Bank loans',
    '<think>\nhm\n</think>\nBank loans',
  ])
    assert.equal(nameIn(answer), 'Bank loans');
  assert.equal(nameIn('Kredite\u202e und\u0007 Banken'), 'Kredite und Banken');
  assert.equal(nameIn('<b>bold</b>'), '<b>bold</b>');
  for (const answer of ['', '...', 'One\nTwo', 'x'.repeat(61)]) assert.equal(nameIn(answer), null);
  // In time that grows with the length alone: with its square, each of these would take more than ten seconds.
  const before = process.cpuUsage().user;
  const [stars, blanks] = ['*'.repeat(80_000), ' '.repeat(80_000)];
  assert.equal(nameIn(`Bank${stars} ${stars.slice(70_000)}.`), 'Bank');
  for (const answer of [`a${stars}a`, `a${blanks}a${blanks}`, `name is${blanks}x`]) nameIn(answer);
  assert.ok(process.cpuUsage().user - before < 8e6);
});

test('a text cannot pass for another part of the question', () => {
  const [, { content }] = namingMessages(node({ texts: ['a\nKeywords: b', 'c'.repeat(1000)] }));
  assert.equal(content.match(/^Keywords/gm)!.length, 1);
  assert.ok(content.length < 600);
});
