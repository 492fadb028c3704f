import type { Flags, FlagValues } from './flag.ts';

export const command = 'watch <url>';
export const describe = 'show the progress of a run in another process or on another machine';
export const builder = {
  url: { type: 'string', hidden: true },
  token: {
    type: 'string',
    requiresArg: true,
    describe: 'the run’s --http-token',
    defaultDescription: 'DPMESH_HTTP_TOKEN, or none',
  },
} as const satisfies Flags;
export const examples = [
  ['watch 127.0.0.1:9464', 'a run on this machine'],
  ['watch http://HOST:9464 --token TOKEN', 'one elsewhere, with its --http-token'],
] as const;

/** Exit code if the run failed or was stopped. */
const NOT_DONE = 1;

export async function handler(args: FlagValues<typeof builder>): Promise<void> {
  const { UserError } = await import('../base/user-error.ts');
  const { assertSecret } = await import('../base/secrets.ts');
  const text = String(args.url);
  const url = parse(/^\w+:\/\//.test(text) ? text : `http://${text}`);
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
    throw new UserError(`${text} must look like HOST:PORT or http://HOST:PORT`);
  // What Node.js reads HTTP with.
  (await import('../base/limits.ts')).assertAddressSpace(1);
  const token = args.token ?? process.env.DPMESH_HTTP_TOKEN;
  if (token !== undefined) assertSecret(args.token === undefined ? 'DPMESH_HTTP_TOKEN' : '--token', token);
  const { follow } = await import('./follow.ts');
  const status = await follow(url, token);
  console.error(`the run is ${status}`);
  if (status !== 'done') process.exitCode = NOT_DONE;
}

/** Null if the text is not a URL. */
function parse(text: string): URL | null {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}
