import { UserError } from '../base/user-error.ts';

/** A UserError that is answered with this status. */
export const refusal = (statusCode: number, message: string) =>
  Object.assign(new UserError(message), { statusCode });
