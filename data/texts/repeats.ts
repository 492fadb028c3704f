/** Counts texts that were there before, of a known number of them: by a hash of 64 bits of each. */
export async function repeatCounter(most: number) {
  const { h64 } = await (await import('xxhash-wasm')).default();
  const hashes = new BigUint64Array(most);
  let count = 0;
  return {
    add(text: string): void {
      hashes[count++] = h64(text);
    },
    repeats: (): number =>
      hashes.sort().reduce((sum, hash, i) => sum + Number(i > 0 && hash === hashes[i - 1]), 0),
  };
}
