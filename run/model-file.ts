import * as z from 'zod/mini';
import { list, record } from '../base/schema.ts';
import {
  arrayName,
  arraysOf,
  type ModelSteps,
  STEP_NAMES,
  type StepName,
  type StepValues,
} from '../model/steps.ts';
import { arrayOf, bytesIn, bytesOf, type TensorDtype } from '../proto/tensors.ts';
import { Misfit, shapesOf } from './model-shapes.ts';
import type { RunFiles } from './run-files.ts';

/**
 * The model of a run in one file, in the format of safetensors: the length of a header, a JSON of which array is where, and the bytes of the
 * arrays. They are called STEP.ARRAY, and the metadata have the list of steps in the order in which they are applied to rows.
 */

/** Its path in a run directory. */
export const MODEL = 'model/model.safetensors';
/** From raw rows to probabilities, as layers of TensorFlow.js: for other programs, nothing here reads them. */
export const LAYERS = { topology: 'model/model.json', weights: 'model/weights.bin' } as const;
/** No model is larger, in bytes. */
const MOST_MODEL = 2 ** 31 - 1;
const LENGTH_BYTES = 8;

/** Of the format, by those of arrays. */
const DTYPES = { int32: 'I32', float32: 'F32', float64: 'F64' } as const;

const size = z.int().check(z.nonnegative());
const headerSchema = record(
  z.string(),
  z.union([
    z.object({ steps: z.string(), columns: z.optional(z.string()) }),
    z.object({
      dtype: z.enum(DTYPES),
      shape: list(size, z.maxLength(2)),
      data_offsets: z.tuple([size, size]),
    }),
  ]),
);
const stepList = list(z.object({ step: z.enum(STEP_NAMES) }));
const nameList = list(z.string());

/** A model, and the names of the columns of its rows; null where they have none. */
export interface NamedModel {
  model: ModelSteps;
  names: readonly string[] | null;
}

/** The bytes of a model's file, in parts. Throws Misfit for a model whose arrays do not fit each other. */
export function encodeModel({ model, names }: NamedModel): Uint8Array[] {
  const shapes = shapesOf(model);
  const steps = STEP_NAMES.filter((step) => model[step]);
  const parts: Uint8Array[] = [];
  const header: z.infer<typeof headerSchema> = {
    __metadata__: {
      steps: JSON.stringify(steps.map((step) => ({ step }))),
      ...(names && { columns: JSON.stringify(names) }),
    },
  };
  let at = 0;
  for (const step of steps)
    for (const [name, { type }] of arraysOf(step)) {
      const bytes = bytesOf((model[step] as Record<string, StepValues>)[name]);
      const key = arrayName(step, name);
      header[key] = { dtype: DTYPES[type], shape: shapes[key], data_offsets: [at, (at += bytes.length)] };
      parts.push(bytes);
    }
  const text = Buffer.from(JSON.stringify(header));
  const head = Buffer.alloc(LENGTH_BYTES + 8 * Math.ceil(text.length / 8), ' ');
  head.writeBigUInt64LE(BigInt(head.length - LENGTH_BYTES));
  text.copy(head, LENGTH_BYTES);
  return [head, ...parts];
}

/** Reads the model of a run. UserError if its file is missing or damaged, or has arrays that do not fit each other. */
export function readModel(files: RunFiles): NamedModel {
  const bytes = files.whole(MODEL, MOST_MODEL);
  try {
    return decodeModel(bytes);
  } catch (error) {
    const why = error instanceof Misfit ? error.message : 'its header is not that of a model';
    throw files.damaged(MODEL, why);
  }
}

function decodeModel(bytes: Buffer): NamedModel {
  const start = LENGTH_BYTES + Number(bytes.readBigUInt64LE());
  if (start > bytes.length) throw new RangeError('its header is longer than the file');
  const header = headerSchema.parse(JSON.parse(bytes.subarray(LENGTH_BYTES, start).toString()));
  const { __metadata__: metadata, ...tensors } = header;
  if (!metadata || !('steps' in metadata)) throw new TypeError('it has no steps');
  const steps = new Set(stepList.parse(JSON.parse(metadata.steps)).map(({ step }) => step));
  const model: Record<string, Record<string, StepValues>> = {};
  let end = start;
  for (const step of STEP_NAMES) {
    if (!steps.has(step)) continue;
    model[step] = {};
    for (const [name, { type }] of arraysOf(step)) {
      model[step][name] = arrayAt(step, tensors[arrayName(step, name)], type);
      end += model[step][name].byteLength;
    }
  }
  if (end !== bytes.length) throw new RangeError('it has other bytes than those of its arrays');
  for (const [key, shape] of Object.entries(shapesOf(model as ModelSteps)))
    if (String((tensors[key] as { shape: number[] }).shape) !== String(shape))
      throw new Misfit(key.split('.')[0] as StepName);
  return {
    model: model as ModelSteps,
    names: metadata.columns ? nameList.parse(JSON.parse(metadata.columns)) : null,
  };

  function arrayAt(step: StepName, tensor: (typeof tensors)[string] | undefined, type: TensorDtype) {
    if (!tensor || !('dtype' in tensor) || tensor.dtype !== DTYPES[type as keyof typeof DTYPES])
      throw new Misfit(step);
    const [from, to] = tensor.data_offsets;
    if (to - from !== bytesIn(type, tensor.shape) || start + to > bytes.length) throw new Misfit(step);
    return arrayOf(type, tensor.shape, bytes.subarray(start + from, start + to)) as StepValues;
  }
}
