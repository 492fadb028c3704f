import { join } from 'node:path';
import { createAtomicFile, makeFolder } from '../../base/files.ts';
import { dpmeshVersion } from '../../base/package.ts';
import { UserError } from '../../base/user-error.ts';
import { kindsOf } from '../../run/option.ts';
import { onnxModel } from '../../run/passes/onnx-model.ts';
import { tfjsModel } from '../../run/passes/tfjs-model.ts';
import { assertNotOfRun } from '../../run/run-path.ts';
import { columnsOf, readTrainedModel } from '../../run/trained-model.ts';
import { assertOptions, assertWritable, fixedPaths } from '../arguments.ts';
import { EXPORT } from '../command-options.ts';

/** Options of `exportModel`. */
export interface ExportOptions {
  /** The directory of a finished run. */
  run: string;
  /** Write the model to this file, in the format of ONNX. */
  onnx?: string;
  /** Write the model to this folder as layers of TensorFlow.js, model.json and weights.bin: from raw rows to probabilities alone. */
  tfjs?: string;
  /** Overwrite existing files. If false, they are an error. */
  force?: boolean;
}

/** A model that was exported. */
export interface ExportedModel {
  /** Size of the files in bytes. */
  readonly bytes: number;
  /** Number of columns D of its input `rows`, float32, N×D: those of the run's data in their order, categories as their columns of 0 and 1. */
  readonly columns: number;
  /** Number K of outputs of the run's model, the columns of `probabilities`. */
  readonly k: number;
}

/**
 * Writes the model of a finished run for other programs: one graph of all that is done to rows. The outputs of ONNX are `label` and `component` (int64, N),
 * `probabilities` (float32, N×K), `confidence`, `distance`, `outlier_score` and, not by the graph likelihood, `log_density` (float32, N).
 *
 * @throws {UserError} (rejection) if the run is not finished, neither `onnx` nor `tfjs` is given, it fills unknown cells by regression, for which ONNX has no operator, or
 *   the file exists and `force` is not set
 */
export async function exportModel(options: ExportOptions): Promise<ExportedModel> {
  const { atlas: _, datamapplot: __, ...kinds } = kindsOf(EXPORT);
  assertOptions('exportModel', options, kinds, ['run']);
  const { run, onnx, tfjs, force = false } = options;
  if (onnx === undefined && tfjs === undefined)
    throw new UserError('nothing to export: give onnx, a file, or tfjs, a folder');
  const paths = fixedPaths();
  const [folder, file, layers] = [paths.fix(run), paths.fix(onnx), paths.fix(tfjs)];
  return paths.naming(async () => {
    const trained = readTrainedModel(folder, { details: true });
    assertNotOfRun(run, { '--onnx': onnx, '--tfjs': tfjs });
    assertWritable({ '--onnx': onnx }, force);
    const files: [string, Uint8Array][] = [];
    if (file !== undefined)
      files.push([file, onnxModel(trained, trained.measured, { run: folder, version: dpmeshVersion() })]);
    if (layers !== undefined) {
      const { json, weights } = tfjsModel(trained);
      const [model, values] = ['model.json', 'weights.bin'].map((name) => join(layers, name));
      assertWritable({ '--tfjs': model }, force);
      makeFolder(layers);
      files.push([model, Buffer.from(JSON.stringify(json))], [values, weights]);
    }
    let size = 0;
    for (const [path, bytes] of files) {
      const written = createAtomicFile(path, { replace: force });
      written.write(bytes, 0);
      written.finish();
      size += bytes.length;
    }
    return { bytes: size, columns: columnsOf(trained), k: trained.k };
  });
}
