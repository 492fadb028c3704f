import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** Names of files and folders that are being written and get their own name once they are complete. */

/** Ends with the process that writes it: its number, and when it started, as numbers are used again. */
const NAME = /\.(\d+)-(\d+)\.[0-9a-f]{8}\.tmp$/;
/** The start of a process where that cannot be told. */
const UNKNOWN = '0';

let ownStart: string | undefined;

/** A unique name in the same folder for a file or folder that is to be renamed to `path` once it is complete. */
export function draftOf(path: string): string {
  ownStart ??= startOf(process.pid);
  return `${path}.${process.pid}-${ownStart}.${randomBytes(4).toString('hex')}.tmp`;
}

/** Is this a name made by `draftOf`: of a file or folder that is not complete? */
export const isDraft = (name: string) => NAME.test(name);

/** Is this the name of a draft that no process of this machine is writing any more? */
export function isAbandoned(name: string): boolean {
  const [, pid, start] = NAME.exec(name) ?? [];
  if (pid === undefined) return false;
  if (!isProcessAlive(Number(pid))) return true;
  const found = startOf(Number(pid));
  return found !== UNKNOWN && start !== UNKNOWN && found !== start;
}

/** When a process started, in clock ticks since this machine did. */
export function startOf(pid: number): string {
  try {
    // The second field, a name in parentheses, may contain anything.
    return readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ')[19];
  } catch {
    return UNKNOWN;
  }
}

/** Whether a process with this id exists on this machine, also if it belongs to another user. */
export function isProcessAlive(pid: number): boolean {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
