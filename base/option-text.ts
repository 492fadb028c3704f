/**
 * How messages call an option: as a flag, or as a parameter of the Python client, which asks for that by the environment of the commands
 * that it starts. What a message says of the value then need not be told from the words after it.
 */

/** `python` where messages are for it. */
const LANGUAGE = 'DPMESH_MESSAGES';

const isForPython = () => process.env[LANGUAGE] === 'python';

/** Options whose value is one name. */
type NameOption = 'id' | 'text';
/** Options whose value is a list of names. */
type ListOption = 'columns' | 'drop' | 'categorical';

/** The option without a value: `--id`. */
export const optionText = (name: NameOption | ListOption): string => (isForPython() ? name : `--${name}`);

/** The option with these columns for a value: `--drop city,notes`, or `drop=["city", "notes"]`. They are numbered from 1 by `numbers`. */
export function optionWithColumns(
  option: NameOption | ListOption,
  names: readonly string[],
  numbers: readonly number[],
): string {
  if (!isForPython()) return `--${option} ${shellList(names, numbers)}`;
  const shown = names.slice(0, MOST_LISTED).map((name, i) => JSON.stringify(name || String(numbers[i])));
  if (option === 'id' || option === 'text') return `${option}=${shown[0]}`;
  return `${option}=[${shown.join(', ')}${names.length > MOST_LISTED ? ', …' : ''}]`;
}

/** Options beside each other, as they are typed. */
export const optionsTogether = (...options: string[]): string => options.join(isForPython() ? ', ' : ' ');

const MOST_LISTED = 40;

/** Names as they are typed in a shell; what a shell or a list would take apart by its number. */
function shellList(names: readonly string[], numbers: readonly number[]): string {
  const shown = names
    .slice(0, MOST_LISTED)
    .map((name, i) => (/^$|[,'*\p{Cc}]/u.test(name) ? String(numbers[i]) : name))
    .join(',');
  const all = names.length > MOST_LISTED ? `${shown},…` : shown;
  return /^[\p{L}\p{N}_.,:=@%+…-]+$/u.test(all) ? all : `'${all}'`;
}
