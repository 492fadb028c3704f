import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** How often a crowd has knocked in each way, how many answers it got, and for how many seconds it was there. */
export type Knocks = Record<
  'idle' | 'plain' | 'noKey' | 'unknownKey' | 'wrongServer' | 'answers' | 'seconds',
  number
>;

/**
 * Strangers at a coordinator's port until they are ended (crowd.ts); resolves when they are there. At the lowest
 * priority: strangers have processors of their own, and what is asked is what their knocks cost the run, not what they
 * themselves compute on its machine.
 */
export async function startCrowd(address: string, serverKey: string, seed: number) {
  const script = fileURLToPath(new URL('crowd.ts', import.meta.url));
  const args = ['-n', '19', process.execPath, '--import', 'tsx', script, address, String(seed), serverKey];
  const child = spawn('nice', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  let [said, over] = ['', false];
  child.stdout.on('data', (text) => {
    said += text;
  });
  child.once('exit', () => {
    over = true;
  });
  while (!said.includes('\n') && !over) await sleep(10);
  if (over) throw new Error('the crowd has ended by itself');
  return {
    knocks: () => JSON.parse(said.split('\n').at(-2)!) as Knocks,
    end() {
      process.off('exit', kill);
      kill();
    },
  };
}
