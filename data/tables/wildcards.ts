/** Patterns of names, matched without going back more than to the last `*`: a regular expression could take years. */

/** What one character may be; null: any number of any characters. */
type Token = ((character: string) => boolean) | null;

/** A matcher of names in which each `*` stands for any text. */
export const likeName = (pattern: string): ((name: string) => boolean) =>
  matcher([...pattern].map((own) => (own === '*' ? null : (character) => character === own)));

/** A matcher of file names: `*`, `?`, `[a-z]`, `[!a-z]`. What is hidden, only if the pattern begins with a dot too. */
export function likeFile(pattern: string): (name: string) => boolean {
  const parts = pattern.match(/\[[!^]?\]?[^\]]*\]|./gsu) ?? [];
  const matches = matcher(parts.map(fileToken));
  return (name) => matches(name) && (!name.startsWith('.') || pattern.startsWith('.'));
}

function fileToken(part: string): Token {
  if (part === '*') return null;
  if (part === '?') return () => true;
  if (part.length < 3) return (character) => character === part;
  const [, not, set] = /^\[([!^]?)(.*)\]$/su.exec(part)!;
  const ranges = [...set.matchAll(/(.)-(.)|(.)/gsu)].map(([, from, to, one]) => [from ?? one, to ?? one]);
  return (character) => ranges.some(([from, to]) => character >= from && character <= to) !== (not !== '');
}

function matcher(tokens: readonly Token[]): (text: string) => boolean {
  return (text) => {
    const characters = [...text];
    let [at, star, from] = [0, -1, 0];
    for (let i = 0; i < characters.length; ) {
      const token = tokens[at];
      if (token === null) [star, from] = [at++, i];
      else if (token?.(characters[i])) [at, i] = [at + 1, i + 1];
      else if (star < 0) return false;
      else [at, i] = [star + 1, ++from];
    }
    return tokens.slice(at).every((token) => token === null);
  };
}
