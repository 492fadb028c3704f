import { stripVTControlCharacters } from 'node:util';

/**
 * Columns of a text on a terminal, in the bundle in place of package string-width: of what dpmesh says of itself each letter has
 * one. The tables of all of Unicode take 10 ms of each command's start.
 */
export default function textWidth(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}
