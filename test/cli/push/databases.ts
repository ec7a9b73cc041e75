import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { afterAll, beforeAll, beforeEach } from 'vitest';

const NAMES = ['s0', 's1', 's2', 'scratch'] as const;
export type Name = (typeof NAMES)[number];

/** Real local databases, empty before each test. */
export function useDatabases(): Readonly<Record<Name, D1Database>> {
  const found = {} as Record<Name, D1Database>;
  let miniflare: Miniflare | undefined;
  beforeAll(async () => {
    const options = { modules: true, script: 'export default {}', compatibilityDate: '2026-11-01' };
    miniflare = new Miniflare(convertV4MiniflareOptions({ ...options, d1Databases: [...NAMES] }));
    for (const name of NAMES) found[name] = await miniflare.getD1Database(name);
  });
  beforeEach(async () => {
    await Promise.all(NAMES.map((name) => empty(found[name])));
  });
  afterAll(() => miniflare?.dispose());
  return found;
}

export const run = (d1: D1Database, ...statements: string[]) => d1.batch(statements.map((sql) => d1.prepare(sql)));

export async function rowsOf(d1: D1Database, sql: string): Promise<unknown[]> {
  return (await d1.prepare(sql).all()).results;
}

async function empty(d1: D1Database): Promise<void> {
  const { results } = await d1
    .prepare(
      `select type, name from sqlite_master where type in ('table', 'view', 'trigger') and name not glob 'sqlite_*'
        and name not glob '_cf_*' order by type = 'table', type = 'view', sql like 'create virtual%' desc`,
    )
    .all<{ type: string; name: string }>();
  const drops = results.map(({ type, name }) => `drop ${type} if exists "${name}"`);
  if (drops.length > 0) await run(d1, 'pragma defer_foreign_keys = on', ...drops);
}
