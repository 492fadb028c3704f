import { UserError } from '../../base/user-error.ts';
import { fileVersion } from '../file-version.ts';
import { unpacked, unpackedHead } from './text-stream.ts';

/** Which characters the bytes of a text table are: UTF-8, UTF-16, or what Windows and Excel write in the west. */

export const UTF8 = 'utf-8';
const WESTERN = 'windows-1252';

/** Bytes at the start of a file from which it is told whether every other one is zero. */
const SNIFFED_BYTES = 4096;
/** The characters 0x80 to 0x9f of WESTERN, which are others in ISO 8859-1; some versions of Node.js take one for the other. */
const WESTERN_ONLY = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ';

/** By version of the file, as it may have to be read whole. */
const found = new Map<string, string>();

/** The encoding of a text file: told from its first bytes; else UTF-8 if all of it is that, or WESTERN. */
export async function encodingOf(path: string): Promise<string> {
  const head = await unpackedHead(path, SNIFFED_BYTES);
  const utf16 = utf16Of(head);
  if (utf16) return utf16;
  const version = fileVersion(path);
  const encoding = found.get(version) ?? ((await isUtf8(path)) ? UTF8 : WESTERN);
  found.set(version, encoding);
  return encoding;
}

function utf16Of(head: Buffer): string | null {
  const mark = head.toString('latin1', 0, 2);
  if (mark === '\xff\xfe') return 'utf-16le';
  if (mark === '\xfe\xff') return 'utf-16be';
  const zeros = [0, 0];
  for (const [i, byte] of head.entries()) if (byte === 0) zeros[i % 2]++;
  const [even, odd] = zeros;
  if (odd > head.length / 4 && !even) return 'utf-16le';
  return even > head.length / 4 && !odd ? 'utf-16be' : null;
}

async function isUtf8(path: string): Promise<boolean> {
  const decoder = new TextDecoder(UTF8, { fatal: true });
  try {
    for await (const piece of unpacked(path)) decoder.decode(piece, { stream: true });
    decoder.decode();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_ENCODING_INVALID_ENCODED_DATA') throw error;
    return false;
  }
}

/** Is this the beginning of UTF-8? Its last character may not be whole. */
export function beginsAsUtf8(head: Buffer): boolean {
  try {
    new TextDecoder(UTF8, { fatal: true }).decode(head, { stream: true });
    return !utf16Of(head.subarray(0, SNIFFED_BYTES));
  } catch {
    return false;
  }
}

/** What decodes pieces of a text. UserError for an encoding that is not known; its function throws one for bytes that are not of it. */
export function textDecoder(path: string, encoding: string): (piece?: Uint8Array) => string {
  let decoder: TextDecoder;
  try {
    decoder = new TextDecoder(encoding.replaceAll('_', '-'), { fatal: true });
  } catch {
    throw new UserError(`--encoding ${encoding} is not known: name one such as utf-8, cp1252 or utf-16le`);
  }
  if (decoder.encoding === WESTERN)
    return (piece = new Uint8Array()) =>
      Buffer.from(piece)
        .toString('latin1')
        .replace(/[\x80-\x9f]/g, (character) => WESTERN_ONLY[character.charCodeAt(0) - 0x80]);
  return (piece) => {
    try {
      return piece ? decoder.decode(piece, { stream: true }) : decoder.decode();
    } catch (error) {
      throw new UserError(`${path} has bytes that are not ${encoding}: name its encoding with --encoding`, {
        cause: error,
      });
    }
  };
}

/** The bytes of a text file in UTF-8. */
export async function* inUtf8(path: string, encoding: string): AsyncGenerator<Buffer> {
  const decode = textDecoder(path, encoding);
  for await (const piece of unpacked(path)) yield Buffer.from(decode(piece));
  yield Buffer.from(decode());
}
