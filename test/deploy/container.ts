// npm run test:container: builds deploy/Containerfile with buildah on a base made by debootstrap, inspects the image, and runs
// a coordinator and two workers in containers. Takes minutes and needs root; not part of npm test.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chownSync, cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { resultHashes, scratch } from '../e2e/support.ts';
import { missingTools, setUp } from './commands.ts';

const folder = scratch();
const NAME = 'dpmesh-tested';
/** Build tools that the image must not contain. */
const TOOLS = ['gcc', 'g++', 'cc', 'make', 'python3', 'git'];

const run = (command: string, ...args: string[]) =>
  execFileSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 26,
    env: ENV,
  }).trim();
const limit = (kind: string) => execFileSync('bash', ['-c', `ulimit -H${kind}`], { encoding: 'utf8' }).trim();
// The default limits of buildah may exceed those of this machine.
const ENV = { ...process.env, CONTAINERS_CONF: join(folder, 'containers.conf') };
const buildah = (...args: string[]) => run('buildah', ...STORE, ...args);
// In the test folder, and without user namespaces or overlays.
const STORE = ['--root', join(folder, 'store'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs'];

/** Builds the base image: Debian with its own Node and the npm of this machine. */
function base(): string {
  const root = join(folder, 'root');
  const mirror = run(
    'bash',
    '-c',
    "apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 ^http",
  );
  const { VERSION_CODENAME } = Object.fromEntries(
    run('cat', '/etc/os-release')
      .split('\n')
      .map((line) => line.split('=')),
  );
  run('debootstrap', '--variant=minbase', '--include=nodejs,ca-certificates', VERSION_CODENAME, root, mirror);
  const npm = dirname(
    dirname(execFileSync('readlink', ['-f', run('which', 'npm')], { encoding: 'utf8' }).trim()),
  );
  cpSync(npm, join(root, 'usr/local/lib/npm'), { recursive: true });
  run('ln', '-s', '../lib/npm/bin/npm-cli.js', join(root, 'usr/local/bin/npm'));
  // npm in the container needs the registry settings and certificates of this machine.
  for (const [from, to] of [
    [join(homedir(), '.npmrc'), 'root/.npmrc'],
    ['/etc/ssl/certs/ca-certificates.crt', 'etc/ssl/certs/ca-certificates.crt'],
  ])
    if (existsSync(from)) cpSync(from, join(root, to));
  const container = buildah('from', 'scratch');
  buildah('copy', '-q', container, root, '/');
  buildah('commit', '-q', '--rm', container, `${NAME}-base`);
  return `localhost/${NAME}-base`;
}

test('the image', { skip: missingTools('buildah', 'debootstrap') }, async (t) => {
  const limits = [`nofile=${limit('n')}:${limit('n')}`, `nproc=${limit('u')}:${limit('u')}`];
  writeFileSync(ENV.CONTAINERS_CONF, `[containers]\ndefault_ulimits = ${JSON.stringify(limits)}\n`);
  const NODE_IMAGE = base();
  buildah(
    ...['bud', '--isolation', 'chroot', '--layers=false', '--build-arg', `NODE_IMAGE=${NODE_IMAGE}`],
    '-f',
    'deploy/Containerfile',
    '-t',
    NAME,
    '.',
  );

  const container = buildah('from', `localhost/${NAME}`);
  const root = buildah('mount', container);
  const { OCIv1 } = JSON.parse(buildah('inspect', '--type', 'image', NAME));
  assert.equal(OCIv1.config.User, '1000:1000');
  for (const tool of TOOLS) assert.ok(!existsSync(join(root, 'usr/bin', tool)), tool);
  for (const name of ['cli', 'test', 'node_modules/typescript'])
    assert.ok(!existsSync(join(root, 'app', name)), name);
  t.diagnostic(
    `image: ${run('du', '-sm', root).split('\t')[0]} MB, of which ${run('du', '-sm', join(root, 'app')).split('\t')[0]} are dpmesh`,
  );

  const at = await setUp(folder);
  const volumes = ['keys', 'worker-key', 'runs', 'data'].flatMap((name) => {
    mkdirSync(join(folder, name), { mode: 0o700 });
    chownSync(join(folder, name), 1000, 1000);
    return ['-v', `${join(folder, name)}:/${name}`];
  });
  cpSync(at.data, join(folder, 'data', 'rows.npy'));
  writeFileSync(join(folder, 'data', 'run.yaml'), at.runYaml('/data/rows.npy'));
  const inside = (...command: string[]) => [
    'run',
    '--isolation',
    'chroot',
    ...volumes,
    container,
    '--',
    ...command,
  ];
  assert.match(buildah(...inside('id', '-u')), /^1000$/);
  buildah(...inside('sh', '-c', 'dpmesh keygen /keys && cp /keys/worker.key /worker-key/'));
  const address = `tcp://127.0.0.1:${at.ports[0]}`;
  const parts = [
    inside('start-or-resume.sh', '/runs/run', '/data/run.yaml', '--bind', address, '--keys', '/keys'),
    ...[1, 2].map(() => inside('dpmesh', 'worker', '--connect', address, '--key', '/worker-key/worker.key')),
  ].map((args) =>
    spawn('buildah', [...STORE, ...args], { env: ENV, stdio: ['ignore', 'ignore', 'inherit'] }),
  );
  const codes = await Promise.all(parts.map((part) => new Promise((done) => part.once('exit', done))));
  assert.deepEqual(codes, [0, 0, 0]);
  assert.deepEqual(resultHashes(join(folder, 'runs', 'run')), at.expected);
  buildah('umount', container);
});
