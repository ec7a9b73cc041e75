import { quoteName } from '../sql/tokens';

/** Keys read at a time: memory does not grow with the table. */
export const PAGE = 5000;

interface KeyRow {
  readonly type: 'integer' | 'real' | 'text';
  readonly key: string;
}

/** How the last key of a page is bound again: D1 binds numbers as REAL, which do not hold every integer. */
const BOUND = { integer: 'cast(?1 as integer)', real: 'cast(?1 as real)', text: '?1' } as const;

/** The values of a column as text, in its order, each once. NULL and blobs are no keys. */
export async function* keysAfter(
  d1: Pick<D1Database, 'prepare'>,
  table: string,
  column: string,
  size = PAGE,
): AsyncGenerator<string[]> {
  // By itself, SQLite takes a quoted name that is no column for a text.
  const name = `t.${quoteName(column)}`;
  for (let last: KeyRow | undefined; ; ) {
    const beyond = last ? ` and ${name} > ${BOUND[last.type]}` : '';
    const statement = d1.prepare(
      `select typeof(${name}) as type, cast(${name} as text) as key from ${quoteName(table)} t
       where typeof(${name}) in ('integer', 'real', 'text')${beyond} group by ${name} order by ${name} limit ${size}`,
    );
    const { results } = await (last ? statement.bind(last.key) : statement).all<KeyRow>();
    if (results.length > 0) yield results.map(({ key }) => key);
    last = results.at(-1);
    if (!last || results.length < size) return;
  }
}
