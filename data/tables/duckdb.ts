import { UserError } from '../../base/user-error.ts';

/** DuckDB, which reads Parquet, CSV and JSON lines: in memory, with no access to the network or to extensions. */

type Api = typeof import('@duckdb/node-api');
export type Chunk = import('@duckdb/node-api').DuckDBDataChunk;

/** DuckDB is not installed, or not for this machine. */
export class NoDuckDB extends UserError {}

/** What DuckDB itself says of a query, in its first line. */
export class QueryFailed extends Error {}

/** Memory for its buffers; what does not fit is an error. */
const MEMORY = '512MB';

let opened: ReturnType<typeof open> | undefined;

async function open() {
  let api: Api;
  try {
    api = await import('@duckdb/node-api');
  } catch (error) {
    throw new NoDuckDB(
      `needs DuckDB, which cannot be loaded here (${(error as Error).message.split('\n')[0]}): npm install @duckdb/node-api`,
    );
  }
  return api.DuckDBInstance.create(':memory:', {
    memory_limit: MEMORY,
    temp_directory: '',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  });
}

/** A text in SQL. */
export const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;

/** The path of a file in SQL, where `*`, `?` and `[` stand for themselves. */
export const fileLiteral = (path: string) => quoted(path.replace(/[*?[]/g, '[$&]'));

/** A name in SQL. */
export const identifier = (name: string) => `"${name.replaceAll('"', '""')}"`;

/** The rows of a query in pieces, in the order of the file. Rejects with QueryFailed, and NoDuckDB. */
export async function* chunksOf(sql: string): AsyncGenerator<Chunk> {
  opened ??= open();
  opened.catch(() => {
    opened = undefined;
  });
  // Of its own: another query on a connection ends the one before.
  const connection = await (await opened).connect();
  try {
    const result = await connection.stream(sql);
    for (;;) {
      const chunk = await result.fetchChunk();
      if (!chunk?.rowCount) return;
      yield chunk;
    }
  } catch (error) {
    throw failure(error);
  } finally {
    connection.closeSync();
  }
}

/** All rows of a query with a small result. */
export async function rowsOf(sql: string): Promise<unknown[][]> {
  const rows: unknown[][] = [];
  for await (const chunk of chunksOf(sql)) rows.push(...chunk.getRows());
  return rows;
}

const failure = (error: unknown) => {
  if (error instanceof UserError || error instanceof QueryFailed) return error;
  return new QueryFailed((error as Error).message.split('\n')[0], { cause: error });
};
