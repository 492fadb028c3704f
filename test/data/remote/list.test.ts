// Lists of the objects of an S3 store, page by page.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { objectsAt } from '../../../data/remote/list.ts';

const TIME = '2026-11-30T00:11:40.000Z';
const entry = (key: string, size: number) =>
  `<Contents><Key>${key}</Key><LastModified>${TIME}</LastModified><ETag>"x"</ETag><Size>${size}</Size></Contents>`;
const list = (entries: string[], next: string | null) =>
  `<?xml version="1.0"?><ListBucketResult><IsTruncated>${next !== null}</IsTruncated>${entries.join('')}${
    next === null ? '' : `<NextContinuationToken>${next}</NextContinuationToken>`
  }</ListBucketResult>`;

const asked: string[] = [];
const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url!, 'http://x');
  asked.push(`${pathname} ${[...searchParams].map(([name, value]) => `${name}=${value}`).join(' ')}`);
  if (pathname === '/endless') return response.end(list([], ''));
  if (pathname === '/bad') return response.end(list([entry('in/%zz.csv', 1)], null));
  const isNext = searchParams.get('continuation-token') === 'more & more';
  const entries = isNext
    ? [entry('in+coming/b%2Bc.csv', 7), entry('in+coming/sub/d.csv', 8)]
    : [
        entry('in+coming/', 0),
        entry('in+coming/a.csv', 5),
        entry('in+coming/_SUCCESS', 0),
        entry('in+coming/../up.csv', 6),
      ];
  response.end(list(entries, isNext ? null : 'more &amp; more'));
});
const saved = { ...process.env };
before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name];
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const none = { AWS_SHARED_CREDENTIALS_FILE: '/none', AWS_CONFIG_FILE: '/none' };
  Object.assign(process.env, { AWS_ENDPOINT_URL: endpoint, ...none });
});
after(() => {
  server.close();
  process.env = saved;
});

const isTable = (name: string) => name.endsWith('.csv');

test('all objects below a folder whose names are wanted, and are such as a file may have', async () => {
  const found = await objectsAt('s3://sets/in coming/', isTable);
  assert.deepEqual(found, [
    { name: 'a.csv', path: 's3://sets/in coming/a.csv', bytes: 5, modified: TIME },
    { name: 'b+c.csv', path: 's3://sets/in coming/b+c.csv', bytes: 7, modified: TIME },
    { name: 'sub/d.csv', path: 's3://sets/in coming/sub/d.csv', bytes: 8, modified: TIME },
  ]);
  assert.deepEqual(asked, [
    '/sets list-type=2 encoding-type=url prefix=in coming/',
    '/sets list-type=2 encoding-type=url prefix=in coming/ continuation-token=more & more',
  ]);
});

test('those in a folder that a pattern names', async () => {
  const found = await objectsAt('s3://sets/in coming/[b-z]*.csv', () => false);
  assert.deepEqual(
    found.map(({ name }) => name),
    ['b+c.csv'],
  );
  await assert.rejects(objectsAt('https://127.0.0.1/in/', isTable), /cannot be listed/);
  // Of one that says that there is more, and not where.
  await assert.rejects(objectsAt('s3://endless/in/', isTable), /has no list version 2/);
  await assert.rejects(objectsAt('s3://bad/in/', isTable), /not encoded/);
});
