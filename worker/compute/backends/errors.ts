import { UserError } from '../../../base/user-error.ts';

/** This worker cannot compute, where others may: it leaves the run, which goes on without it. */
export class Unable extends UserError {}

/** The device has no room for a tensor; a smaller block would change bits. */
export class OutOfDeviceMemory extends Unable {
  constructor(device: string, bytes: number | null) {
    const wanted = bytes === null ? 'a tensor' : `a tensor of ${bytes.toLocaleString('en')} bytes`;
    super(
      `${device} has no room left for ${wanted}; take fewer rows (--sample), --covariance diag, or fewer workers a GPU`,
    );
  }
}
