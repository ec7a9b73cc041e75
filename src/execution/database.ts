import { UnsupportedStatementError } from '../errors';
import type { BoundStatement } from '../sql/bound';
import { splitScript } from '../sql/parse';
import { runBatch } from './batch';
import type { ReadyCluster } from './cluster';
import { observe, type QueryListener } from './observe';
import type { Executor } from './run';
import { decodeBookmark } from './session';
import type { ShardRows } from './shard-set';
import { ShardedStatement, toObjects } from './statement';

/** The public interface of a D1 database, over many. */
export class ShardedDatabase implements D1Database {
  readonly #cluster: ReadyCluster;

  constructor(cluster: ReadyCluster) {
    this.#cluster = cluster;
  }

  prepare(query: string): D1PreparedStatement {
    return new ShardedStatement(this.#cluster.executor, this.#cluster.onQuery, query);
  }

  batch<T = unknown>(statements: D1PreparedStatement[]): Promise<D1Result<T>[]> {
    return batchOf<T>(this.#cluster.executor, this.#cluster.onQuery, statements);
  }

  /** Runs a script, a statement a line, in order. */
  async exec(query: string): Promise<D1ExecResult> {
    const statements = splitScript(query);
    const started = performance.now();
    for (const sql of statements) await this.#cluster.executor.rows({ sql, params: [] }, 'objects');
    return { count: statements.length, duration: performance.now() - started };
  }

  withSession(constraintOrBookmark?: D1SessionBookmark | D1SessionConstraint): D1DatabaseSession {
    const cluster = this.#cluster;
    const { executor, sessions } = cluster.session(decodeBookmark(constraintOrBookmark));
    return {
      prepare: (query) => new ShardedStatement(executor, cluster.onQuery, query),
      batch: <T>(statements: D1PreparedStatement[]) => batchOf<T>(executor, cluster.onQuery, statements),
      getBookmark: () => sessions.bookmark(),
    };
  }

  /** @deprecated D1 has taken it away too. */
  dump(): Promise<ArrayBuffer> {
    return Promise.reject(
      new UnsupportedStatementError('dump() is not possible over several databases.', {
        remedy: 'Export each with wrangler d1 export.',
      }),
    );
  }
}

async function batchOf<T>(
  executor: Executor,
  listener: QueryListener,
  statements: readonly D1PreparedStatement[],
): Promise<D1Result<T>[]> {
  if (statements.length === 0) {
    throw new UnsupportedStatementError('The batch is empty.', { remedy: 'Give it at least one statement.' });
  }
  const bound = statements.map((statement): BoundStatement => {
    if (statement instanceof ShardedStatement) return statement;
    throw new UnsupportedStatementError('The batch holds a statement that another database has prepared.', {
      remedy: 'Prepare it with this one.',
    });
  });
  const results = await observe(listener, bound, (routed) => runBatch(executor, bound, routed));
  return results.map((result) => resultOf<T>(result));
}

const resultOf = <T>(result: ShardRows): D1Result<T> => ({
  success: true,
  meta: result.meta,
  results: toObjects(result) as T[],
});
