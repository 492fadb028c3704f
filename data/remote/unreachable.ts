import { UserError } from '../../base/user-error.ts';

/** A remote file could not be reached for some time; later it may. */
export class Unreachable extends UserError {}
