/** A seed has 64 bits, more than a number can hold: it is passed as decimal text. */

/** The values of a seed, as part of a message. */
export const SEED_RANGE = 'a whole number from 0 to 2^64 − 1';

/** Is this the decimal text of a 64-bit seed? */
export const isSeed = (text: string) => /^\d{1,20}$/.test(text) && BigInt(text) < 2n ** 64n;
