import { eq } from 'drizzle-orm';
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { expect, it } from 'vitest';
import { shardedDrizzle } from '../../src';
import { failureOf, makeWorld, threeShards } from './support';

// Drizzle 1.0 has no `casing` option of the database: there the names come with the tables.
const visits = sqliteTable('visits', { id: text().primaryKey(), userId: text().notNull(), pageCount: integer() });

it('names that `casing` makes are those of the shard key and of the columns', async () => {
  await makeWorld(['create table visits (id text primary key, user_id text not null, page_count integer)']);
  const db = shardedDrizzle({
    schema: { visits },
    shards: threeShards,
    casing: 'snake_case',
    tables: { visits: { key: 'userId' } },
  });
  const rows = Array.from({ length: 9 }, (_, i) => ({ id: `v${i}`, userId: `u${i % 4}`, pageCount: 9 - i }));
  expect(await db.insert(visits).values(rows).returning()).toEqual(rows);
  expect(await db.select().from(visits).orderBy(visits.pageCount)).toEqual(rows.toReversed());
  const explained = await db.$explain(db.select().from(visits).where(eq(visits.userId, 'u1')));
  expect(explained.kind).toBe('single');
  const change = await failureOf(db.update(visits).set({ userId: 'u2' }).where(eq(visits.userId, 'u1')).run());
  expect(change.cause).toMatchObject({ code: 'SHARD_KEY_CHANGE' });
});
