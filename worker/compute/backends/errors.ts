import { UserError } from '../../../base/user-error.ts';

/** This worker cannot compute, though others may: it leaves the run, which continues without it. */
export class BackendFailure extends UserError {}

/** The device has no memory left for a tensor. Computing in smaller blocks is no way out: that would change bits. */
export class OutOfDeviceMemory extends BackendFailure {
  constructor(device: string, bytes: number | null) {
    const tensor = bytes === null ? 'a tensor' : `a tensor of ${bytes.toLocaleString('en')} bytes`;
    super(
      `${device} is out of memory: no room for ${tensor}; use fewer rows (--sample), --covariance diag, or fewer workers per GPU`,
    );
  }
}
