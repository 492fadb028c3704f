import { anyNumber, input, integer, output, outputOrNot, text, yesOrNo } from '../run/domains.ts';
import { of, option } from '../run/option.ts';

/** The options of commands and functions that take a finished run, or make data: a table each. Those of a run and its updates are in run/options.ts. */

export const RUN = option(text(), { help: 'run directory', isRequired: true });
export const JSON_OUTPUT = option(yesOrNo(), {
  help: 'print one JSON object instead of text',
  fast: false,
  isForTerminals: true,
});
const force = (help: string) => option(yesOrNo(), { help, fast: false });

/** What `resume` and `finish` have beside the options of a session. */
export const RESUME = of('Run', {
  data: option(input(), { help: 'the same rows at another path', defaultText: 'that of the run' }),
  labels: option(input(), {
    help: 'true classes to evaluate the result with',
    defaultText: 'those of the run',
  }),
  from: option(text(), { help: 'resume from this checkpoint file', defaultText: 'the newest valid one' }),
  maxEpochs: option(integer(1), {
    help: 'go on to another limit than the run’s, also if it is finished: what a run with this limit gives',
    defaultText: 'that of the run',
  }),
});

/** The rows that `update` takes in. */
export const NEW_ROWS = of('Data', {
  data: option(input(), {
    help: 'the new rows, with the columns of the run: a file of arrays or a table, or a folder of images',
    isRequired: true,
  }),
  labels: option(input(), {
    help: 'true classes of the new rows, for evaluation only',
    defaultText: 'none',
  }),
});

export const PREDICT = {
  run: RUN,
  data: option(input(), {
    help: 'rows to label: a file of arrays or a table, with the columns of the training data, or a folder of images',
    isRequired: true,
  }),
  skipBad: option(yesOrNo(), { help: 'leave out images that cannot be decoded', fast: false }),
  out: option(output(), {
    help: 'output file of the labels: .npy, int32, or a table, .csv or .parquet',
    isRequired: true,
  }),
  soft: option(outputOrNot(), { help: 'output file of the responsibilities: .npy, float32, N×K' }),
  components: option(yesOrNo(), {
    help: 'a table also has the component of each row in the mixture',
    fast: false,
  }),
  images: option(output(), {
    help: 'output file of the paths of images, one a line, in the order of labels',
  }),
  clusters: option(integer(1), {
    help: 'label with so many clusters, those of dpmesh cut',
    defaultText: 'those of the run',
  }),
  force: force('overwrite existing files'),
};

export const CUT = {
  run: RUN,
  clusters: option(integer(1), {
    help: 'number of clusters, at most those of the run',
    isRequired: true,
  }),
  out: option(output(), {
    help: 'output file of the labels: .npy, int32, or a table with what names the rows: .csv or .parquet',
    defaultText: 'none: a table is printed',
  }),
  json: JSON_OUTPUT,
  force: force('overwrite existing files'),
};

export const EXPORT = {
  run: RUN,
  onnx: option(output(), {
    help: 'output file: the model as ONNX, from raw rows to labels, probabilities, distances and outlier scores',
  }),
  atlas: option(output(), {
    help: 'output folder: the map for Embedding Atlas, rows.parquet with all rows and labels.parquet with names and their places',
  }),
  datamapplot: option(output(), {
    help: 'output file: the map for DataMapPlot, .npz with places, labels and names by layer',
  }),
  force: force('overwrite existing files'),
};

export const WORDS = {
  run: RUN,
  text: option(text(), {
    help: 'column with the texts of the rows, of the table that is the data, or of --texts',
    defaultText: 'none',
  }),
  texts: option(text(), {
    help: 'file with the texts of the rows: .txt (also .txt.gz) with a line for each, or a table',
    defaultText: 'none',
  }),
  data: option(text(), {
    help: 'the data of the run at another path, for --text',
    defaultText: 'that of the run',
  }),
};

export const NAME = {
  run: RUN,
  nameWith: option(text(), {
    help: 'address of an endpoint like OpenAI’s, such as http://localhost:11434/v1 (key: OPENAI_API_KEY); keywords and typical texts are sent there, and kept in names.jsonl',
    defaultText: 'none, nothing is sent',
  }),
  nameModel: option(text(), { help: 'the model that is asked', defaultText: 'none' }),
};

export const RENAME = {
  run: RUN,
  cluster: option(anyNumber(), {
    help: 'label of the cluster: its number, of an update its id',
    isRequired: true,
  }),
  name: option(text(), { help: 'what it is to be called, at most 60 characters', isRequired: true }),
};

/** Of the command `plot`, and of `draw` of a run that is open. */
export const DRAW = {
  out: option(output(), { help: 'output folder', defaultText: '<run>/report' }),
  labels: option(input(), {
    help: 'true classes: 1-D .npy, IDX, file.csv:column, or file.npz:array',
    defaultText: 'those of the run',
  }),
};

export const SERVE = {
  http: option(text(), { help: 'HOST:PORT, port 0 for any free one', defaultText: '127.0.0.1:8080' }),
  httpToken: option(text(), {
    help: 'needed for all but metrics and health, as Authorization: Bearer TOKEN',
    defaultText: 'DPMESH_HTTP_TOKEN, or none',
  }),
  watch: option(yesOrNo(), {
    help: 'serve newer models as soon as they take the place of these',
    fast: false,
  }),
};

export const SYNTH = {
  out: option(output(), { help: 'output file of the points: .npy, float32', isRequired: true }),
  labels: option(output(), {
    help: 'output file of the cluster of each point: .npy, int32',
    isRequired: true,
  }),
  clusters: option(anyNumber(), { help: 'number of clusters, at most 10,000', fast: 15 }),
  points: option(anyNumber(), {
    help: 'number of points; memory use does not depend on it',
    fast: 10_000,
  }),
  dim: option(anyNumber(), { help: 'number of dimensions', fast: 2 }),
  seed: option(
    { ...text(), kind: ['number', 'string', 'bigint'] as const },
    {
      help: 'random seed; the same seed gives the same bytes',
      fast: '0',
    },
  ),
  force: force('overwrite existing files'),
};
