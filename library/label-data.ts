import { UserError } from '../base/user-error.ts';
import type { Labels } from '../data/label-spec.ts';
import { readLabels } from '../run/labels.ts';
import { int32Labels, type LabelData } from './inputs.ts';

/**
 * Labels from a file or from memory, coded by rank. UserError if they are invalid or there are none. `option`: its name,
 * for messages.
 */
export async function labelsOf(data: LabelData, option: string): Promise<Labels> {
  if (typeof data === 'string') return readLabels(data);
  const values = int32Labels(data, option);
  if (!values.length) throw new UserError(`${option} has no labels`);
  const ranks = new Map([...new Set(values)].sort((a, b) => a - b).map((value, rank) => [value, rank]));
  return { codes: values.map((value) => ranks.get(value)!), names: [...ranks.keys()].map(String) };
}
