import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The local port of the bad link in each namespace. */
const PORT = 6000;

/** Starts impair.ts in a namespace until this process exits. Resolves to its address. `delay`: one way, ms. */
export async function startBadLink(
  within: string[],
  target: string,
  seed: number,
  delay = 50,
): Promise<string> {
  const script = fileURLToPath(new URL('impair.ts', import.meta.url));
  const args = ['--import', 'tsx', script, String(PORT), target, String(seed), String(delay)];
  const [program, ...rest] = [...within, process.execPath, ...args];
  const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
  process.once('exit', () => child.kill('SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`impair.ts exited with ${code}`)));
  });
  // It must not keep this process alive.
  child.unref();
  (child.stdout as unknown as { unref(): void }).unref();
  return `tcp://127.0.0.1:${PORT}`;
}
