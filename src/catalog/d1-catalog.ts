import type { Catalog } from './catalog';
import { catalogThrough, type OperationName, programOf } from './operations';
import type { Program, Row, Statement } from './program';
import { CATALOG_TABLES, isMissingTable } from './tables';

/**
 * The catalog in a D1, for clusters without a coordinator. Each operation is one batch, which D1 runs as one
 * transaction on the primary; the first one that has something to write also creates the tables.
 *
 * @example
 * const catalog = d1Catalog(env.DB_EAST);
 */
export function d1Catalog(database: D1Database): Catalog {
  return catalogThrough(async (name: OperationName, args) => {
    const program = programOf(name, args);
    try {
      return await runProgram(database, program);
    } catch (error) {
      if (!isMissingTable(error)) throw error;
      // A look at a database that holds no catalog must not leave tables in it.
      if (program.whenEmpty) return program.whenEmpty.answer;
      // That batch was rolled back, so nothing is done twice. Several callers may create the tables at once.
      return runProgram(database, program, CATALOG_TABLES);
    }
  });
}

async function runProgram<T>(database: D1Database, program: Program<T>, before: readonly string[] = []): Promise<T> {
  const prepare = ({ sql, params }: Statement) => database.prepare(sql).bind(...params);
  const results = await database.batch<Row>([
    ...before.map((sql) => database.prepare(sql)),
    ...program.statements.map(prepare),
  ]);
  return program.read(results.slice(before.length).map((result) => result.results));
}
