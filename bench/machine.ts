import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, type as system, totalmem } from 'node:os';

/** The processor, memory and software of this machine as a Markdown table. */
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
  const match = /^PRETTY_NAME="?([^"\n]+)/m.exec(readFileSync('/etc/os-release', 'utf8'));
  return match ? `${match[1]}, ` : '';
}

/** Seconds in which the first thread of a process ran or was ready to, while others ran: it did not wait. Null if it has ended or there is no /proc. */
export function readySecondsOf(pid: number): number | null {
  try {
    const [running, queued] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8')
      .split(' ')
      .map(Number);
    return (running + queued) / 1e9;
  } catch {
    return null;
  }
}

/**
 * Starts measuring. The returned function gives the fraction of all CPU time since then that did not go to this process
 * and its children, the hypervisor's included; null if there is no /proc.
 */
export function measureOtherCpu(): () => number | null {
  if (!existsSync('/proc/stat')) return () => null;
  const before = cpuTicks();
  return () => {
    const after = cpuTicks();
    const all = after.all - before.all;
    const others = all - (after.idle - before.idle) - (after.own - before.own);
    return all > 0 ? Math.max(0, others / all) : 0;
  };
}

/** Clock ticks since boot: of all processors, idle, and of this process with its children that have ended. */
function cpuTicks() {
  const numbers = (text: string) => text.trim().split(/\s+/).map(Number);
  // user nice system idle iowait irq softirq steal; the fields after these are included in them.
  const all = numbers(readFileSync('/proc/stat', 'utf8').split('\n')[0].slice(4)).slice(0, 8);
  // Fields 14 to 17: user, system, children's user and children's system time. The name, field 2, may contain spaces.
  const own = readFileSync('/proc/self/stat', 'utf8')
    .split(') ')
    .at(-1)!
    .split(' ')
    .slice(11, 15)
    .map(Number);
  const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
  return { all: sum(all), idle: all[3] + all[4], own: sum(own) };
}
