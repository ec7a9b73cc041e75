import { eq, gt, sql } from 'drizzle-orm';
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { beforeEach, describe, expect, it } from 'vitest';
import { shardedDrizzle } from '../../src';
import { type City, cities as largest } from '../support/cities';
import { Fleet, type Isolate, rowsEverywhere } from '../support/isolates';
import { type Accident, Mortal } from '../support/mortal';
import { Random } from '../support/random';
import { resetDatabases } from '../support/reset';
import { runEverywhere } from '../support/seed';
import { shards } from '../support/shards';

const cities = sqliteTable('cities', {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  country: text('country').notNull(),
  population: integer('population').notNull(),
});
/** Children without an index on their shard key, and with ids of their own. */
const facts = sqliteTable('facts', {
  id: integer('id').primaryKey(),
  cityId: text('city_id').notNull(),
  body: text('body'),
});
/** A name that would end a statement which did not quote it. */
const ORDERS = 'order "by"; --';
const orders = sqliteTable(ORDERS, { cityId: text('drop "table"').primaryKey(), total: integer('select') });

const DDL = [
  'create table cities (id text primary key, name text not null, country text not null, population integer not null)',
  'create table facts (id integer primary key, city_id text not null, body text)',
  'create table "order ""by""; --" ("drop ""table""" text primary key, "select" integer)',
];

const open = ({ config }: Pick<Isolate, 'config'>) =>
  shardedDrizzle({
    ...config,
    schema: { cities, facts, orders },
    tables: { facts: { key: 'cityId' }, orders: { key: 'cityId' } },
  });
type Database = ReturnType<typeof open>;

/** Odd ones were in the first database, the others in the second; the third is new. */
async function seed(list: readonly City[]): Promise<void> {
  await resetDatabases();
  await runEverywhere(shards(3), DDL);
  for (const [at, d1] of [shards(2).s0, shards(2).s1].entries()) {
    const own = JSON.stringify(
      list.filter((_, i) => i % 2 === at).map((one) => [one.id, one.name, one.country, one.population]),
    );
    await (d1 as D1Database).batch(
      [
        'insert into cities select value->>0, value->>1, value->>2, value->>3 from json_each(?1)',
        `insert into facts select ${at} * 100000 + key, value->>0, value->>1 || '!' from json_each(?1)`,
        'insert into "order ""by""; --" select value->>0, value->>3 from json_each(?1) where key % 3 = 0',
      ].map((statement) => (d1 as D1Database).prepare(statement).bind(own)),
    );
  }
}

const seconds = (from: number): number => (Date.now() - from) / 1000;

describe.each([
  ['coordinator', 30],
  ['first D1', 12],
] as const)('10,000 cities in two databases, the catalog in the %s', (place, most) => {
  let fleet: Fleet;
  const list = largest(10_000);
  beforeEach(async () => {
    await seed(list);
    fleet = new Fleet(place);
    await open(fleet.isolate()).$cluster.shards();
    // More pages, and so more places to die at.
    await fleet.catalog("update _shard_catalog_jobs set options = json_set(options, '$.rowsPerMove', 500)");
  });

  it('can be read and written at every moment of the scan, whatever becomes of who scans', async () => {
    const seed = 20261123;
    const random = new Random(seed);
    const names = new Map(list.map(({ id, name }) => [id, name]));
    const populations = new Map(list.map(({ id, population }) => [id, population]));
    const busy = new Set<string>();
    let done = false;
    let reads = 0;
    let deaths = 0;

    /** A key that no other writer or reader is at just now. */
    const take = (): string => {
      const id = random.pick([...names.keys()]);
      return busy.has(id) ? take() : id;
    };
    const withKey = async (run: (id: string) => Promise<void>) => {
      const id = take();
      busy.add(id);
      await run(id);
      busy.delete(id);
    };
    const read = (db: Database) =>
      withKey(async (id) => {
        reads++;
        expect(await db.select({ name: cities.name }).from(cities).where(eq(cities.id, id)), id).toEqual([
          { name: names.get(id) },
        ]);
        expect(await db.$count(facts, eq(facts.cityId, id)), id).toBe(populations.has(id) ? 1 : 0);
      });
    const write = (db: Database) =>
      withKey(async (id) => {
        const name = `written ${reads}`;
        await db.update(cities).set({ name }).where(eq(cities.id, id));
        names.set(id, name);
      });
    const insert = async (db: Database) => {
      const id = `new-${names.size}-${random.below(1e9)}`;
      busy.add(id);
      names.set(id, 'new');
      await db.insert(cities).values({ id, name: 'new', country: 'XX', population: 1 });
      busy.delete(id);
    };
    const scatter = async (db: Database) => {
      const [row] = await db
        .select({ n: sql<number>`count(*)`, sum: sql<number>`sum(population)` })
        .from(cities)
        .where(gt(cities.population, 1));
      expect(row?.n).toBe(10_000);
      expect(row?.sum).toBe([...populations.values()].reduce((sum, one) => sum + one, 0));
    };
    const client = async (work: (db: Database) => Promise<void>, isNew = false) => {
      let db = open(fleet.isolate());
      while (!done) {
        if (isNew) db = open(fleet.isolate());
        await work(db);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    };

    /** Scans, and dies at one of its calls, or sleeps and goes on when it is long forgotten. */
    const lives = async () => {
      const accidents: Accident[] = ['die before', 'die after', 'stall before'];
      const sleepers: { mortal: Mortal; work: Promise<unknown> }[] = [];
      for (; deaths < most; deaths++) {
        const at = 4 + Math.floor(deaths / 3);
        const mortal = new Mortal(fleet.isolate().config);
        const db = open({ config: mortal.config });
        await db.$cluster.shards();
        mortal.dooms(at, accidents[deaths % 3]);
        const work = db.$cluster.adopt().catch(() => 'stopped');
        await Promise.race([mortal.stopped, work]);
        if (deaths % 3 === 2) sleepers.push({ mortal, work });
        await fleet.catalog('update _shard_catalog_jobs set leased_until = 0');
        if ((await open(fleet.isolate()).$cluster.adoption()).pending.length === 0) break;
      }
      const unlucky = new Mortal(fleet.isolate().config);
      unlucky.dooms(20, 'lose answer');
      await open({ config: unlucky.config }).$cluster.adopt();
      for (const { mortal, work } of sleepers) {
        mortal.wake();
        await work;
      }
    };
    const from = Date.now();
    const clients = [
      client(read),
      client(read),
      client(read, true),
      client(write),
      client(write, true),
      client(insert),
      client(scatter),
    ];
    await Promise.race([lives(), Promise.all(clients)]);
    done = true;
    await Promise.all(clients);
    console.log(`seed ${seed}: ${reads} reads, ${names.size - 10_000} inserts, ${deaths} deaths in ${seconds(from)} s`);
    expect(deaths).toBeGreaterThan(10);

    const db = open(fleet.isolate());
    expect(await db.$cluster.adoption()).toEqual({ pending: [], conflicts: [] });
    const rows = await rowsEverywhere<{ id: string; name: string }>('select id, name from cities', shards(3));
    expect(rows.map(({ id, name }) => [id, name]).sort()).toEqual([...names].sort());
    const { ok, text: said } = await db.$cluster.verify();
    expect(ok, said).toBe(true);
    for (let i = 0; i < 200; i++) {
      const id = random.pick([...names.keys()]);
      expect(await db.select({ name: cities.name }).from(cities).where(eq(cities.id, id))).toEqual([
        { name: names.get(id) },
      ]);
    }
    expect(await db.$count(orders)).toBe(list.filter((_, i) => Math.floor(i / 2) % 3 === 0).length);
  }, 120_000);
});

describe.each([900, 5000])('%i rows', (count) => {
  it('are scanned within one invocation', async () => {
    await seed(largest(count));
    const isolate = new Fleet('coordinator').isolate();
    const db = open(isolate);
    await db.$cluster.shards();
    isolate.reset();
    expect(await db.$cluster.adopt()).toMatchObject({ state: 'done' });
    // A Worker may ask D1 1,000 times for one request.
    expect(isolate.calls.d1).toBeLessThan(100);
    expect(await db.$count(cities)).toBe(count);
  });
});
