import { desc, relations } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/d1';
import { beforeEach, expect, it } from 'vitest';
import { shardedDrizzle } from '../../src';
import { Random } from '../support/random';
import { plain, shards } from '../support/shards';
import { fill, makeTables, open, parts, schema, tables, things } from './fixture';

const related = {
  ...schema,
  thingsRelations: relations(things, ({ many }) => ({ parts: many(parts) })),
  partsRelations: relations(parts, ({ one }) => ({
    thing: one(things, { fields: [parts.thingId], references: [things.id] }),
  })),
};

beforeEach(makeTables);

it('relational queries are paged and streamed, rows within rows and all', async () => {
  await fill(open(3), new Random(1), 40);
  const db = shardedDrizzle({ schema: related, tables, shards: shards(3) });
  const query = (from: Pick<typeof db, 'query'>, limit: number) =>
    from.query.things.findMany({
      columns: { name: true, madeAt: true },
      with: { parts: { columns: { size: true, kind: true }, orderBy: parts.id } },
      orderBy: [desc(things.name), things.id],
      limit,
    });
  const expected = await query(drizzle(plain, { schema: related }), 100);
  const first = await db.$page(query(db, 15));
  const second = await db.$page(query(db, 15), { after: first.next });
  expect([...first.rows, ...second.rows]).toEqual(expected.slice(0, 30));
  const streamed: unknown[] = [];
  for await (const row of db.$stream(query(db, 100), { chunk: 7 })) streamed.push(row);
  expect(streamed).toEqual(expected);
});
