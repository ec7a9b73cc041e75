import type { Runnable } from '../check';
import { buildQuery } from './build-query';
import type { Builder, Chain } from './builder';
import type { Path, Query } from './recipe';

/** The query of a recipe on one database, to be run by the path that it asks for. */
export function queryOn(db: unknown, query: Query): Runnable {
  const built = buildQuery(db as Builder, query);
  if (built.type === 'count') {
    return {
      run: async () => [await built.count],
      statement: built.text.toSQL(),
      ordering: { rows: 'exact', keys: [], fold: false },
    };
  }
  const { chain, builder, ordering, uniqueNames } = built;
  // Drizzle's own batch loses columns of one name, and then cannot decode what it has not.
  const path = query.path === 'batch' && !uniqueNames ? 'all' : query.path;
  return {
    run: () => rowsOf(chain, builder, path, ordering.rows === 'exact'),
    statement: chain.toSQL(),
    // Objects lose columns of one name too, so that positions in them say nothing.
    ordering: path === 'objects' ? { ...ordering, keys: [] } : ordering,
  };
}

/** @param fixed Whether there is a first row: `get` means nothing otherwise. */
async function rowsOf(chain: Chain, builder: Builder, path: Path, fixed: boolean): Promise<readonly unknown[]> {
  switch (path) {
    case 'all':
      return chain.all();
    case 'await':
      return await chain;
    case 'get':
      return fixed ? [await chain.get()] : chain.all();
    case 'values':
      return chain.values();
    case 'prepared': {
      const prepared = chain.prepare();
      await prepared.all();
      return prepared.all();
    }
    case 'batch': {
      const [first] = await builder.batch([chain, chain]);
      return first ?? [];
    }
    case 'raw':
      return statement(chain, builder).raw();
    case 'columnNames': {
      const [names = [], ...rows] = await statement(chain, builder).raw({ columnNames: true });
      return rows.map((row) => Object.assign({}, row, { names }));
    }
    case 'objects':
      return (await statement(chain, builder).all()).results;
  }
}

/** The statement as the code below Drizzle sees it. */
function statement(chain: Chain, builder: Builder): D1PreparedStatement {
  const { sql, params } = chain.toSQL();
  return builder.$client.prepare(sql).bind(...params);
}
