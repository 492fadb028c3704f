// Folders that many test processes want, and one makes.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The process that has the lock; null if nobody has, or who had is gone. */
function holderOf(lock: string): number | null {
  try {
    const pid = Number(readFileSync(lock, 'utf8'));
    process.kill(pid, 0);
    return pid;
  } catch {
    return null;
  }
}

/** Resolves when `place` is there: `make` fills a draft of it, which is given the name when it is complete. */
export async function once(place: string, make: (draft: string) => Promise<unknown>): Promise<void> {
  const lock = `${place}.lock`;
  mkdirSync(dirname(place), { recursive: true });
  while (!existsSync(place)) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
    } catch {
      if (holderOf(lock) === null) rmSync(lock, { force: true });
      else await sleep(50);
      continue;
    }
    const draft = `${place}.${process.pid}`;
    try {
      if (existsSync(place)) return;
      await make(draft);
      renameSync(draft, place);
    } finally {
      rmSync(draft, { recursive: true, force: true });
      rmSync(lock, { force: true });
    }
  }
}
