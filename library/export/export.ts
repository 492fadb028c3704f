import { createAtomicFile } from '../../base/files.ts';
import { dpmeshVersion } from '../../base/package.ts';
import { kindsOf } from '../../run/option.ts';
import { onnxModel } from '../../run/passes/onnx-model.ts';
import { assertNotOfRun } from '../../run/run-path.ts';
import { columnsOf, readTrainedModel } from '../../run/trained-model.ts';
import { assertOptions, assertWritable, fixedPaths } from '../arguments.ts';
import { EXPORT } from '../command-options.ts';

/** Options of `exportModel`. */
export interface ExportOptions {
  /** The directory of a finished run. */
  run: string;
  /** Write the model to this file, in the format of ONNX. */
  onnx: string;
  /** Overwrite an existing file. If false, it is an error. */
  force?: boolean;
}

/** A model that was exported. */
export interface ExportedModel {
  /** Size of the file in bytes. */
  readonly bytes: number;
  /** Number of columns D of its input `rows`, float32, N×D: those of the run's data in their order, categories as their columns of 0 and 1. */
  readonly columns: number;
  /** Number K of outputs of the run's model, the columns of `probabilities`. */
  readonly k: number;
}

/**
 * Writes the model of a finished run for other programs: one graph of all that is done to rows. Its outputs are `label` and `component` (int64, N),
 * `probabilities` (float32, N×K), `confidence`, and, unless an earlier version trained it, `distance`, `outlier_score` and `log_density` (float32, N).
 *
 * @throws {UserError} (rejection) if the run is not finished, it fills unknown cells by regression, for which ONNX has no operator, or
 *   the file exists and `force` is not set
 */
export async function exportModel(options: ExportOptions): Promise<ExportedModel> {
  const { atlas: _, datamapplot: __, ...kinds } = kindsOf(EXPORT);
  assertOptions('exportModel', options, kinds, ['run', 'onnx']);
  const { run, onnx, force = false } = options;
  const paths = fixedPaths();
  const [folder, path] = [paths.fix(run), paths.fix(onnx)];
  return paths.naming(async () => {
    const trained = readTrainedModel(folder, { details: true });
    assertNotOfRun(run, { '--onnx': onnx });
    assertWritable({ '--onnx': onnx }, force);
    const bytes = onnxModel(trained, trained.measured, { run: folder, version: dpmeshVersion() });
    const file = createAtomicFile(path, { replace: force });
    file.write(bytes, 0);
    file.finish();
    return { bytes: bytes.length, columns: columnsOf(trained), k: trained.k };
  });
}
