import protobuf from 'protobufjs/light.js';
import type { Value } from './steps/operators.ts';

/** Models in the format of ONNX (onnx.ai): a graph of operators, built one after the other, and the bytes of its protocol buffer. */

/** Opset 17 is read by every ONNX Runtime since 1.12; version 8 of the format is that opset's. */
const [OPSET, IR_VERSION] = [17, 8];

/** Numbers of TensorProto.DataType and AttributeProto.AttributeType. */
const TYPES = { float32: 1, int64: 7, bool: 9 } as const;
type DataType = keyof typeof TYPES;
const ATTRIBUTES = { i: 2, ints: 7 } as const;

const field = (id: number, type: string, rule?: 'repeated') => ({ id, type, ...(rule && { rule }) });

/** The fields of onnx.proto3 that are written, with its numbers. */
const schema = protobuf.Root.fromJSON({
  nested: {
    ModelProto: {
      fields: {
        irVersion: field(1, 'int64'),
        producerName: field(2, 'string'),
        producerVersion: field(3, 'string'),
        docString: field(6, 'string'),
        graph: field(7, 'GraphProto'),
        opsetImport: field(8, 'OperatorSetIdProto', 'repeated'),
        metadataProps: field(14, 'StringStringEntryProto', 'repeated'),
      },
    },
    OperatorSetIdProto: { fields: { domain: field(1, 'string'), version: field(2, 'int64') } },
    StringStringEntryProto: { fields: { key: field(1, 'string'), value: field(2, 'string') } },
    GraphProto: {
      fields: {
        node: field(1, 'NodeProto', 'repeated'),
        name: field(2, 'string'),
        initializer: field(5, 'TensorProto', 'repeated'),
        input: field(11, 'ValueInfoProto', 'repeated'),
        output: field(12, 'ValueInfoProto', 'repeated'),
      },
    },
    NodeProto: {
      fields: {
        input: field(1, 'string', 'repeated'),
        output: field(2, 'string', 'repeated'),
        name: field(3, 'string'),
        opType: field(4, 'string'),
        attribute: field(5, 'AttributeProto', 'repeated'),
      },
    },
    AttributeProto: {
      fields: {
        name: field(1, 'string'),
        i: field(3, 'int64'),
        ints: field(8, 'int64', 'repeated'),
        type: field(20, 'int32'),
      },
    },
    TensorProto: {
      fields: {
        dims: field(1, 'int64', 'repeated'),
        dataType: field(2, 'int32'),
        name: field(8, 'string'),
        rawData: field(9, 'bytes'),
      },
    },
    ValueInfoProto: { fields: { name: field(1, 'string'), type: field(2, 'TypeProto') } },
    TypeProto: { fields: { tensorType: field(1, 'TensorTypeProto') } },
    TensorTypeProto: { fields: { elemType: field(1, 'int32'), shape: field(2, 'TensorShapeProto') } },
    TensorShapeProto: { fields: { dim: field(1, 'DimensionProto', 'repeated') } },
    DimensionProto: { fields: { dimValue: field(1, 'int64'), dimParam: field(2, 'string') } },
  },
});

/** Lengths of a value by axis; a name stands for any length. */
type Shape = readonly (number | string)[];

export type OnnxGraph = ReturnType<typeof onnxGraph>;

/** An empty graph. Operators are those of the ONNX specification. */
export function onnxGraph() {
  const [node, initializer, input, output]: object[][] = [[], [], [], []];
  const valueInfo = (name: Value, type: DataType, shape: Shape) => ({
    name,
    type: {
      tensorType: {
        elemType: TYPES[type],
        shape: {
          dim: shape.map((length) =>
            typeof length === 'number' ? { dimValue: length } : { dimParam: length },
          ),
        },
      },
    },
  });
  function constant(type: DataType, values: ArrayBufferView, dims: readonly number[]): Value {
    const name = `constant_${initializer.length}`;
    const rawData = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    initializer.push({ name, dataType: TYPES[type], dims, rawData });
    return name;
  }
  /** Appends an operator with one output. Attributes are integers, or lists of them. */
  function op(
    opType: string,
    inputs: Value[],
    attributes: Record<string, number | number[]> = {},
    name?: Value,
  ) {
    const out = name ?? `${opType}_${node.length}`;
    const attribute = Object.entries(attributes).map(([key, value]) =>
      Array.isArray(value)
        ? { name: key, type: ATTRIBUTES.ints, ints: value }
        : { name: key, type: ATTRIBUTES.i, i: value },
    );
    node.push({ opType, name: `node_${node.length}`, input: inputs, output: [out], attribute });
    return out;
  }
  return {
    op,
    /** A constant of float32 numbers; of this shape, or one axis. */
    floats: (values: Float32Array, shape: readonly number[] = [values.length]) =>
      constant('float32', values, shape),
    /** One float32 number. */
    float: (value: number) => constant('float32', Float32Array.of(value), []),
    integers: (values: readonly number[]) =>
      constant('int64', BigInt64Array.from(values, BigInt), [values.length]),
    flags: (values: readonly boolean[]) => constant('bool', Uint8Array.from(values, Number), [values.length]),
    cast: (value: Value, to: DataType) => op('Cast', [value], { to: TYPES[to] }),
    input(name: string, type: DataType, shape: Shape): Value {
      input.push(valueInfo(name, type, shape));
      return name;
    },
    /** Makes a value an output of this name. */
    output(value: Value, name: string, type: DataType, shape: Shape): void {
      op('Identity', [value], {}, name);
      output.push(valueInfo(name, type, shape));
    },
    /** The bytes of the model. `metadata`: texts by key. */
    encode(about: { version: string; doc: string; metadata: Readonly<Record<string, string>> }): Uint8Array {
      const type = schema.lookupType('ModelProto');
      return type
        .encode(
          type.create({
            irVersion: IR_VERSION,
            producerName: 'dpmesh',
            producerVersion: about.version,
            docString: about.doc,
            graph: { name: 'dpmesh', node, initializer, input, output },
            opsetImport: [{ domain: '', version: OPSET }],
            metadataProps: Object.entries(about.metadata).map(([key, value]) => ({ key, value })),
          }),
        )
        .finish();
    },
  };
}
