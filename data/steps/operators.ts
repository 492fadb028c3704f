/** What a step needs to write itself as operators of an ONNX graph, which data/onnx.ts builds. */

/** A value of the graph, by its name. */
export type Value = string;

export interface Operators {
  /** Appends an operator with one output. Attributes are integers, or lists of them. */
  op(type: string, inputs: Value[], attributes?: Record<string, number | number[]>): Value;
  float(value: number): Value;
  /** A constant of float32 numbers; of this shape, or one axis. */
  floats(values: Float32Array, shape?: readonly number[]): Value;
  integers(values: readonly number[]): Value;
  flags(values: readonly boolean[]): Value;
  cast(value: Value, to: 'float32' | 'int64' | 'bool'): Value;
}
