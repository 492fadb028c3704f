import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attempted } from '../base/files.ts';

/** A folder that is removed by `remove`, or else when the process exits. */
export function temporaryFolder(): { path: string; remove(): void } {
  const path = attempted(tmpdir(), 'written', () => mkdtempSync(join(tmpdir(), 'dpmesh-')));
  const clear = () => rmSync(path, { recursive: true, force: true });
  process.once('exit', clear);
  return {
    path,
    remove() {
      process.off('exit', clear);
      clear();
    },
  };
}
