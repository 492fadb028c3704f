import { UserError } from '../../../base/user-error.ts';

/** This worker cannot compute, where others may: it leaves the run, which goes on without it. */
export class Unable extends UserError {}
