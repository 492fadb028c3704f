import { Unable } from './unable.ts';

/** Exit code of a worker process whose device has no room: one in its place would have none either. */
export const NO_ROOM = 3;

/** The device has no room for a tensor; a smaller block would change bits. */
export class OutOfDeviceMemory extends Unable {
  constructor(device: string, bytes: number | null) {
    const wanted = bytes === null ? 'a tensor' : `a tensor of ${bytes.toLocaleString('en')} bytes`;
    super(
      `${device} has no room left for ${wanted}; take fewer rows (--sample), --covariance diag, or fewer workers a GPU`,
    );
  }
}
