import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import { attempted, errorCode, ioError } from '../../base/files.ts';
import { openWithSpares } from '../../base/limits.ts';
import { UserError } from '../../base/user-error.ts';
import { lockDirectory } from './lock.ts';

/** Which folder it is, wherever it lies: device and inode, in decimal. */
export interface DirectoryId {
  device: string;
  inode: string;
}

/** A locked folder that is also held open, so that no new folder gets its inode. */
export interface HeldDirectory {
  readonly id: DirectoryId;
  /** The path still leads to this folder. */
  isThere(): boolean;
  /** Releases the lock. */
  release(): void;
}

/** The path of a run, or of a file or folder in it, leads elsewhere by now: nothing may be written there. */
export class Displaced extends UserError {}

/** The path does not lead to the run's directory any more. */
export const displacedRun = (path: string) =>
  new Displaced(
    `${path} is no longer the directory that this run began in (it was moved or removed): the run stops here; if it was moved, go on with: dpmesh resume ITS-NEW-PATH`,
  );

/** A file or folder of the run has become a symbolic link. */
export const linkedAway = (file: string, run: string) =>
  new Displaced(
    `${file} has become a symbolic link, and a run does not write through links: the run stops here; remove the link, then go on with: dpmesh resume ${run}`,
  );

/** Locks a folder for this process and holds it open. UserError if another process has it. */
export async function holdDirectory(path: string): Promise<HeldDirectory> {
  // Windows cannot open a folder; there one that is in use cannot be removed either.
  const { O_RDONLY, O_DIRECTORY } = constants;
  const fd =
    process.platform === 'win32'
      ? null
      : attempted(path, 'opened', () => openWithSpares(() => openSync(path, O_RDONLY | O_DIRECTORY)));
  const close = () => fd !== null && closeSync(fd);
  try {
    const id = idOf(fd === null ? statSync(path, { bigint: true }) : fstatSync(fd, { bigint: true }));
    const unlock = await lockDirectory(path);
    let isReleased = false;
    return {
      id,
      isThere: () => leadsTo(path, id),
      release() {
        if (isReleased) return;
        isReleased = true;
        unlock();
        close();
      },
    };
  } catch (error) {
    close();
    throw ioError(path, 'opened', error);
  }
}

/** Does the path lead to this folder? So too where that cannot be told: writing will show. */
export function leadsTo(path: string, { device, inode }: DirectoryId): boolean {
  try {
    const found = idOf(statSync(path, { bigint: true }));
    return found.device === device && found.inode === inode;
  } catch (error) {
    return !['ENOENT', 'ENOTDIR', 'ESTALE'].includes(String(errorCode(error)));
  }
}

const idOf = ({ dev, ino }: { dev: bigint; ino: bigint }): DirectoryId => ({
  device: String(dev),
  inode: String(ino),
});
