import { UserError } from '../../base/user-error.ts';

/** Pickles of Python, which are programs rather than data: they are never opened. */

const PROTOCOL = 0x80;
const NEWEST = 5;

/** Is it a pickle, by its first bytes (from protocol 2 on) or by its name? */
export const isPickle = (path: string, head: Uint8Array) =>
  (head[0] === PROTOCOL && head[1] >= 2 && head[1] <= NEWEST) || /\.(pkl|pickle|pt|pth|joblib)$/i.test(path);

export const pickleError = (path: string) =>
  new UserError(
    `${path} is a pickle (as torch.save and pickle.dump write), which can run any code and so is never opened: save the array with safetensors.torch.save_file or numpy.save`,
  );
