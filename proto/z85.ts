/** Z85 (ZeroMQ RFC 32): bytes as printable text, five characters for four bytes. */
const LETTERS = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';

/** Encodes bytes, whose number must be a multiple of four. */
export function toZ85(bytes: Uint8Array): string {
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let text = '';
  for (let at = 0; at < bytes.byteLength; at += 4) {
    const word = words.getUint32(at);
    for (let power = 85 ** 4; power >= 1; power /= 85) text += LETTERS[Math.floor(word / power) % 85];
  }
  return text;
}

/** Decodes a text; null if it is not valid Z85. */
export function fromZ85(text: string): Buffer | null {
  if (text.length % 5) return null;
  const bytes = Buffer.alloc((text.length / 5) * 4);
  for (let i = 0; i < text.length; i += 5) {
    let word = 0;
    for (const letter of text.slice(i, i + 5)) {
      const digit = LETTERS.indexOf(letter);
      if (digit < 0) return null;
      word = word * 85 + digit;
    }
    if (word >= 2 ** 32) return null;
    bytes.writeUInt32BE(word, (i / 5) * 4);
  }
  return bytes;
}
