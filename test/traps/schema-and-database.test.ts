import { sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/d1';
import { customType, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { beforeEach, describe, expect, it } from 'vitest';
import { shardedDrizzle } from '../../src';
import { rowsPerShard } from '../support/seed';
import { plain } from '../support/shards';
import { contents, failureOf, makeWorld, oneShard, threeShards } from './support';

/** What the schema says of a table, and what the database has, differ: columns, collations, indexes, defaults. */
const folded = customType<{ data: string }>({ dataType: () => 'text collate nocase' });
const people = sqliteTable('people', {
  id: text('id').primaryKey(),
  nickName: text('nick_name').notNull(),
  homeTown: folded('home_town').notNull(),
  age: integer('age'),
});
const schema = { people };

const names = ['b', 'A', 'c', 'B', 'a', 'C', 'd', 'D'];
const rows = names.map((name, i) => ({ id: `p${i}`, nickName: name, homeTown: name, age: i % 3 }));

const three = shardedDrizzle({ schema, shards: threeShards });
const one = shardedDrizzle({ schema, shards: oneShard });
const single = drizzle(plain, { schema });

beforeEach(async () => {
  await makeWorld([
    "create table people (age integer, home_town text not null collate nocase, extra text default 'x', nick_name text not null collate nocase, id text primary key)",
    'create unique index people_nick on people (lower(nick_name), age, id)',
    'create unique index people_town on people (upper(home_town)) where age = 99',
  ]);
  for (const db of [single, one, three]) await db.insert(people).values(rows);
});

/** The three give the same. */
async function agree<T>(ask: (db: typeof single) => Promise<T>): Promise<T> {
  const expected = await ask(single);
  expect(await ask(one as unknown as typeof single)).toEqual(expected);
  expect(await ask(three as unknown as typeof single)).toEqual(expected);
  return expected;
}

describe('a schema that knows less than the database', () => {
  it('spreads and finds its rows by the names of the database', async () => {
    const counts = Object.values(await rowsPerShard(threeShards, 'people'));
    expect(counts.reduce((a, b) => a + b)).toBe(names.length);
    await agree((db) => db.select().from(people).orderBy(people.id));
    await agree((db) => db.select({ town: people.homeTown }).from(people).where(sql`${people.id} = 'p3'`));
  });

  it('merges and gathers by the collations of the database', async () => {
    for (const column of [people.nickName, people.homeTown]) {
      await agree((db) => db.select().from(people).orderBy(column, people.id));
      await agree((db) => db.select().from(people).orderBy(sql`${column} desc`, people.id).limit(3));
      await agree((db) =>
        db
          .selectDistinct({ upper: sql`upper(${column})` })
          .from(people)
          .orderBy(sql`1`),
      );
      await agree((db) => db.select({ n: sql`count(*)` }).from(people).groupBy(column).orderBy(column));
      await agree((db) => db.select({ max: sql`max(${column})`, n: sql`count(distinct ${column})` }).from(people));
    }
  });

  it('inserts without a column list in the order of the database', async () => {
    await agree((db) =>
      db.run(sql`insert into people values (7, 'x', 'e', 'y', 'q1'), (8, 'x', 'e', 'z', 'q2')`).then(() => true),
    );
    await agree((db) => db.select().from(people).orderBy(people.id));
    expect(await contents(threeShards, 'people')).toEqual(await contents({ plain }, 'people'));
  });

  it('gathers columns that only the database has', async () => {
    const both = sql`select a.extra, b.extra, a.id from people a join people b on a.age > b.age order by a.id, b.id`;
    await agree((db) => db.all(both));
    await agree((db) => db.all(sql`select * from people order by 1, id limit 3`));
    await agree((db) => db.all(sql`select extra, count(*) from people group by extra`));
  });

  it('refuses upserts for unique indexes that only the database has', async () => {
    const values = { id: 'new', nickName: 'z', homeTown: 'B', age: 99 };
    expect((await failureOf(three.insert(people).values(values).onConflictDoNothing().run())).cause).toMatchObject({
      code: 'UNSUPPORTED_STATEMENT',
    });
    expect(
      (await failureOf(three.run(sql`insert or replace into people (id, nick_name, home_town) values ('n', 'm', 'o')`)))
        .cause,
    ).toMatchObject({
      code: 'UNSUPPORTED_STATEMENT',
    });
    await agree((db) =>
      db
        .insert(people)
        .values({ ...values, id: 'p1', age: 4 })
        .onConflictDoNothing({ target: people.id })
        .returning(),
    );
    await agree((db) =>
      db
        .insert(people)
        .values({ ...values, id: 'p1', age: 5 })
        .onConflictDoUpdate({ target: people.id, set: { age: 5 } })
        .returning(),
    );
  });
});
