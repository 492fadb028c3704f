/** Letter case of names, and untrusted text made safe for a terminal. */

/** `max-epochs` as `maxEpochs`. */
export const camelCase = (name: string) => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());

/** `maxEpochs` as `max-epochs`. */
export const kebabCase = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** Control characters, which can move the cursor or set a title, and marks that change the direction of text. */
const CONTROL = '\\p{Cc}\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069';
const CONTROL_EXCEPT_LINES = new RegExp(`(?![\\n\\t])[${CONTROL}]`, 'gu');
const ANY_CONTROL = new RegExp(`[${CONTROL}]`, 'gu');

/** Text for a terminal, with control characters replaced by U+FFFD. Line ends and tabs stay. */
export const printable = (text: string) => text.replace(CONTROL_EXCEPT_LINES, '\ufffd');

/** Untrusted text as one line, or part of one, with all control characters replaced by U+FFFD. */
export const oneLine = (text: string) => text.replace(ANY_CONTROL, '\ufffd');

/** The name of a file as one line from which it can be told, with control characters as \\n, \\x1b or \\u202e. */
export const escapedName = (name: string) =>
  name.replace(ANY_CONTROL, (character) => {
    const code = character.codePointAt(0)!;
    return ESCAPES[character] ?? (code < 256 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`);
  });

const ESCAPES: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };
const hex = (code: number, digits: number) => code.toString(16).padStart(digits, '0');

/**
 * The text without the characters at its end that match, one by one, but for the first `least`. `/x+$/` would look at each run of them anew, in
 * quadratic time.
 */
export function withoutEnd(text: string, character: RegExp, least = 0): string {
  let end = text.length;
  while (end > least && character.test(text[end - 1])) end--;
  return text.slice(0, end);
}

/** Untrusted text of several lines: lines after the first are indented, so that they cannot pass for log lines of ours. */
export const indentContinuation = (text: string) => printable(text).replaceAll('\n', '\n    ');
