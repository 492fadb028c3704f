// An S3 store on this machine that checks signatures: moto's server, from a package of Python.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { createServer, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after } from 'node:test';
import { AwsV4Signer } from 'aws4fetch';

const PACKAGES = ['moto[s3]==5.2.5', 'flask', 'flask-cors'];
/** Made once, where the command is not installed. */
const VENV = join(tmpdir(), 'dpmesh-test-moto-5.2.5');
const SERVE = ['-c', 'from moto.server import main; main()'];
const BUCKET = 'sets';

export interface S3Server {
  url: string;
  /** What a process needs to read from it. */
  env: Record<'AWS_ACCESS_KEY_ID' | 'AWS_SECRET_ACCESS_KEY' | 'AWS_ENDPOINT_URL', string>;
  /** Stores an object and returns its address. */
  put(key: string, content: Uint8Array | string): Promise<string>;
}

/** The command that starts moto; null where it cannot be had. */
export function motoCommand(): string[] | null {
  const onPath = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'moto_server'));
  const found = onPath.find(existsSync);
  if (found) return [found];
  const python = join(VENV, 'bin', 'python');
  const draft = `${VENV}.${process.pid}`;
  try {
    if (!existsSync(python)) {
      execFileSync('python3', ['-m', 'venv', draft], { stdio: 'ignore' });
      const pip = [join(draft, 'bin', 'python'), '-m', 'pip', 'install', '-q', ...PACKAGES];
      execFileSync(pip[0], pip.slice(1), { stdio: 'ignore', timeout: 300_000 });
      renameSync(draft, VENV);
    }
    return [python, ...SERVE];
  } catch {
    rmSync(draft, { recursive: true, force: true });
    return existsSync(python) ? [python, ...SERVE] : null;
  }
}

/** Starts the store, with a bucket and a user who may read and write it. It ends with the tests of the file. */
export async function startS3(command: string[]): Promise<S3Server> {
  const [program, ...args] = command;
  // Without signatures until the user is there.
  const env = { ...process.env, INITIAL_NO_AUTH_ACTION_COUNT: '3' };
  const moto = spawn(program, [...args, '-H', '127.0.0.1', '-p', '0'], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  after(() => void moto.kill('SIGKILL'));
  const url = await urlIn(moto);
  const anybody = { accessKeyId: 'anybody', secretAccessKey: 'anybody' };
  const iam = (action: string, values: Record<string, string>) =>
    ask(
      url,
      'iam',
      anybody,
      'POST',
      new URLSearchParams({ Action: action, UserName: 'u', ...values }).toString(),
    );
  await iam('CreateUser', {});
  const answer = await iam('CreateAccessKey', {});
  const [id, secret] = ['AccessKeyId', 'SecretAccessKey'].map(
    (name) => new RegExp(`<${name}>(.*)</${name}>`).exec(answer)![1],
  );
  const statement = { Effect: 'Allow', Action: 's3:*', Resource: '*' };
  const policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
  await iam('PutUserPolicy', { PolicyName: 'p', PolicyDocument: policy });
  const keys = { accessKeyId: id, secretAccessKey: secret };
  await ask(`${url}/${BUCKET}`, 's3', keys, 'PUT', '');
  return {
    url,
    env: { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, AWS_ENDPOINT_URL: url },
    async put(key, content) {
      await ask(`${url}/${BUCKET}/${key}`, 's3', keys, 'PUT', content);
      return `s3://${BUCKET}/${key}`;
    },
  };
}

/** The address that the server prints once it listens. */
function urlIn(moto: ChildProcess): Promise<string> {
  let text = '';
  return new Promise((resolve, reject) => {
    moto.stderr!.setEncoding('utf8').on('data', (more: string) => {
      text += more;
      const [url] = /http:\/\/127\.0\.0\.1:[1-9]\d*/.exec(text) ?? [];
      if (url) resolve(url);
    });
    moto.once('error', reject).once('exit', () => reject(new Error(`moto ended: ${text}`)));
  });
}

async function ask(
  to: string,
  service: string,
  keys: { accessKeyId: string; secretAccessKey: string },
  method: string,
  body: string | Uint8Array,
): Promise<string> {
  const type = service === 'iam' ? 'application/x-www-form-urlencoded' : 'application/octet-stream';
  const headers = { 'content-type': type };
  const init = { url: to, service, region: 'us-east-1', ...keys, method, headers, body: Buffer.from(body) };
  const signed = await new AwsV4Signer(init).sign();
  const response = await fetch(signed.url, { method, headers: signed.headers, body: Buffer.from(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${to}: ${response.status} ${text}`);
  return text;
}

/** A way to the store that drops connections, answers with errors, cuts bodies and is slow, in turn. */
export interface FaultyProxy {
  url: string;
  /** The ranges that were asked for, and what became of them. */
  readonly log: { range: string | undefined; fault: Fault }[];
}

const FAULTS = ['none', 'error', 'none', 'drop', 'cut', 'slow', 'none', 'reset'] as const;
type Fault = (typeof FAULTS)[number];

export async function faultyProxy(target: string): Promise<FaultyProxy> {
  const log: FaultyProxy['log'] = [];
  const server = createServer((request, response) => {
    const fault = FAULTS[log.length % FAULTS.length];
    log.push({ range: request.headers.range, fault });
    if (fault === 'error') return void response.writeHead(log.length % 2 ? 500 : 503).end();
    if (fault === 'drop') return void request.socket.destroy();
    const { url, headers } = request;
    // The host is signed, so it stays.
    send(target + url, { headers }, (answer) => {
      const parts: Buffer[] = [];
      answer
        .on('data', (part) => parts.push(part))
        .on('end', async () => {
          const body = Buffer.concat(parts);
          const half = body.subarray(0, body.length >> 1);
          if (fault === 'cut') {
            response.writeHead(answer.statusCode!, { ...answer.headers, 'content-length': half.length });
            response.end(half);
            return;
          }
          response.writeHead(answer.statusCode!, answer.headers);
          if (fault === 'reset') response.write(half, () => response.destroy());
          else if (fault === 'slow') {
            response.write(half);
            setTimeout(() => response.end(body.subarray(half.length)), 50);
          } else response.end(body);
        });
    }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, log };
}
