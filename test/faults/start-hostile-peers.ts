import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** Connection attempts by kind, the number of answers received, and the seconds since the start. */
export type AttemptCounts = Record<
  'idle' | 'plain' | 'noKey' | 'unknownKey' | 'wrongServer' | 'answers' | 'seconds',
  number
>;

/**
 * Starts peers without valid keys that connect to the port of a coordinator (hostile-peers.ts); resolves when they run.
 * They get the lowest CPU priority, because real attackers have their own CPUs: measured is the cost of their attempts to
 * the run.
 */
export async function startHostilePeers(address: string, serverKey: string, seed: number) {
  const script = fileURLToPath(new URL('hostile-peers.ts', import.meta.url));
  const args = ['-n', '19', process.execPath, '--import', 'tsx', script, address, String(seed), serverKey];
  const child = spawn('nice', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  let [output, over] = ['', false];
  child.stdout.on('data', (text) => {
    output += text;
  });
  child.once('exit', () => {
    over = true;
  });
  while (!output.includes('\n') && !over) await sleep(10);
  if (over) throw new Error('hostile-peers.ts ended unexpectedly');
  return {
    attempts: () => JSON.parse(output.split('\n').at(-2)!) as AttemptCounts,
    end() {
      process.off('exit', kill);
      kill();
    },
  };
}
