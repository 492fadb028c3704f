import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, type as system, totalmem } from 'node:os';
import { ROOT } from './processes.ts';

/** Its processor, memory and software, as a table in Markdown. */
export function machineTable(): string {
  const memory = `${(totalmem() / 2 ** 30).toFixed(1)} GiB`;
  const rows = [
    ['CPU', cpus()[0]?.model.trim() || 'unknown'],
    ['cores', String(availableParallelism())],
    ['memory', memory],
    ['system', `${distribution()}${system()} ${release()}`],
    ['Node.js', process.version],
  ];
  return ['| | |', '|---|---|', ...rows.map((cells) => `| ${cells.join(' | ')} |`)].join('\n');
}

function distribution(): string {
  if (!existsSync('/etc/os-release')) return '';
  const found = /^PRETTY_NAME="?([^"\n]+)/m.exec(readFileSync('/etc/os-release', 'utf8'));
  return found ? `${found[1]}, ` : '';
}

/** The commit, and whether the tree differs from it. */
export function revision(): string {
  try {
    const args = ['describe', '--always', '--dirty=+', '--exclude=*'];
    return execFileSync('git', args, {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return '';
  }
}

/** Clock ticks a second, in which /proc counts. */
const TICKS = 100;

/** Seconds of processor time that all threads of a process have had; null where it is gone or there is no /proc. */
export function cpuOf(pid: number): number | null {
  try {
    const [user, system] = ticksOf(`/proc/${pid}/stat`);
    return (user + system) / TICKS;
  } catch {
    return null;
  }
}

/**
 * The share of all processors' time that went to others than this process and its children (the hypervisor's too)
 * from now until the call of what it returns. Null where there is no /proc.
 */
export function othersShare(): () => number | null {
  if (!existsSync('/proc/stat')) return () => null;
  const before = ticks();
  return () => {
    const after = ticks();
    const all = after.all - before.all;
    const others = all - (after.idle - before.idle) - (after.own - before.own);
    return all > 0 ? Math.max(0, others / all) : 0;
  };
}

/** A process's, fields 14 to 17: user, system, children's user, children's system. Its name, field 2, may have spaces. */
const ticksOf = (stat: string) =>
  readFileSync(stat, 'utf8').split(') ').at(-1)!.split(' ').slice(11, 15).map(Number);

/** Clock ticks since boot: of all processors, idle ones, and those of this process and its children that have ended. */
function ticks() {
  const numbers = (text: string) => text.trim().split(/\s+/).map(Number);
  // user nice system idle iowait irq softirq steal; what follows is in these already.
  const all = numbers(readFileSync('/proc/stat', 'utf8').split('\n')[0].slice(4)).slice(0, 8);
  const own = ticksOf('/proc/self/stat');
  const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
  return { all: sum(all), idle: all[3] + all[4], own: sum(own) };
}
