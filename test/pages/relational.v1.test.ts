import { drizzle } from 'drizzle-orm/d1';
import { beforeEach, expect, it } from 'vitest';
import { type RowsQuery, type ShardedHelpers, shardedDrizzle } from '../../src';
import { Random } from '../support/random';
import { plain, shards } from '../support/shards';
import { fill, makeTables, open, schema, tables } from './fixture';

// The types that the tests are checked with are those of drizzle-orm 0.45, which has no such relations.
interface Helpers {
  things: { id: unknown };
  parts: { thingId: unknown };
  many: { parts(link: { from: unknown; to: unknown }): unknown };
}
type DefineRelations = (schema: unknown, build: (helpers: Helpers) => unknown) => Record<string, unknown>;
interface Relational {
  query: { things: { findMany(config: unknown): RowsQuery<unknown> } };
}

beforeEach(makeTables);

it('relational queries are paged and streamed, rows within rows and all', async () => {
  const { defineRelations } = (await import('drizzle-orm')) as unknown as { defineRelations: DefineRelations };
  await fill(open(3), new Random(1), 40);
  const relations = defineRelations(schema, (r) => ({
    things: { parts: r.many.parts({ from: r.things.id, to: r.parts.thingId }) },
  }));
  const db = shardedDrizzle({ schema, tables, relations, shards: shards(3) } as never) as unknown as Relational &
    ShardedHelpers<unknown, string>;
  const query = (from: Relational, limit: number) =>
    from.query.things.findMany({
      columns: { name: true, madeAt: true },
      with: { parts: { columns: { size: true, kind: true }, orderBy: { id: 'asc' } } },
      orderBy: { name: 'desc', id: 'asc' },
      limit,
    });
  const expected = await query(drizzle(plain, { relations } as never) as unknown as Relational, 100);
  const first = await db.$page(query(db, 15));
  const second = await db.$page(query(db, 15), { after: first.next });
  expect([...first.rows, ...second.rows]).toEqual(expected.slice(0, 30));
  const streamed: unknown[] = [];
  for await (const row of db.$stream(query(db, 100), { chunk: 7 })) streamed.push(row);
  expect(streamed).toEqual(expected);
});
