import { env } from 'cloudflare:workers';
import { eq, inArray, sql } from 'drizzle-orm';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type PlaceKey, type Strategy, shardedDrizzle } from '../../src';
import { type Calls, Fleet, type Isolate, PLACES } from '../support/isolates';
import { hashOwner } from '../support/owner';
import { runEverywhere } from '../support/seed';
import { MAX_SHARDS, shards } from '../support/shards';
import { type Database, keysOf, migrated, open, orders, posts, schema, tables, tickets, users } from './fixture';

/** Round trips to databases, calls to the catalog, operations on KV. */
type Numbers = readonly [d1: number, catalog: number, kvReads: number, kvWrites: number];

/** What a request costs. */
interface Row {
  readonly request: string;
  /** An isolate, and a database object, that have served such requests before. */
  readonly warm: Numbers;
  /** A new database object in that isolate, as Workers make one for each request. */
  readonly renewed: Numbers;
  /** An isolate that has just begun, in a cluster that has not. */
  readonly cold: Numbers;
  /** What the cold isolate of the request before it has done: `n` is the same. */
  readonly before?: (db: Database, n: number) => PromiseLike<unknown>;
  /** `n` tells the runs apart. */
  readonly run: (db: Database, n: number) => PromiseLike<unknown>;
}

const owner = hashOwner(['s0', 's1', 's2']);
const homed = (shard: string, prefix: string) => keysOf(prefix, 60).filter((key) => owner(key) === shard);

/** Keys of users that are there. The directory strategy of these tests puts every key on `s1`. */
const home = homed('s1', 'h').slice(0, 6);
const away = homed('s0', 'a').slice(0, 6);
const OWN_HOME: PlaceKey = () => 's1';

const at = (keys: readonly string[], n: number): string => keys[n] as string;
const row = (id: string) => ({ id, name: 'x' });
const readKey = (key: string) => (db: Database) => db.select().from(users).where(eq(users.id, key));
const readKeys = (db: Database) =>
  db
    .select()
    .from(users)
    .where(inArray(users.id, [...home.slice(0, 3), ...away.slice(0, 3)]));
const readMerged = (db: Database) => db.select().from(users).orderBy(users.name).limit(5);
const readGathered = (db: Database) => db.select({ n: sql<number>`count(distinct name)` }).from(users);
const updateKey = (key: string) => (db: Database) => db.update(users).set({ name: 'y' }).where(eq(users.id, key));
const updateAll = (db: Database) => db.update(users).set({ name: 'z' });
/** A key that nobody has heard of: `prefix` is the request's own. */
const insertNew = (shard: string, prefix: string) => (db: Database, n: number) =>
  db.insert(users).values(row(at(homed(shard, prefix), n)));
const insertBeside = (keys: readonly string[]) => (db: Database, n: number) =>
  db.insert(orders).values({ id: at(keys, n), total: n });
const batchOnNew = (shard: string, prefix: string) => (db: Database, n: number) =>
  db.batch([
    db.insert(users).values(row(at(homed(shard, prefix), n))),
    db.insert(orders).values({ id: at(homed(shard, prefix), n), total: 1 }),
    db
      .select()
      .from(users)
      .where(eq(users.id, at(homed(shard, prefix), n))),
  ]);
const batchOnOld = (db: Database) =>
  db.batch([
    db
      .update(users)
      .set({ name: 'z' })
      .where(eq(users.id, at(away, 0))),
    db
      .select()
      .from(users)
      .where(eq(users.id, at(away, 0))),
  ]);

// biome-ignore format: one request a line, so that the numbers stand below each other.
const HASH: readonly Row[] = [
  { request: 'read by key', warm: [1, 0, 0, 0], renewed: [1, 0, 0, 0], cold: [1, 0, 1, 0], run: readKey(at(away, 0)) },
  { request: 'read of an unknown key', warm: [1, 0, 0, 0], renewed: [1, 0, 0, 0], cold: [1, 0, 1, 0], run: readKey('nobody') },
  { request: 'insert of a new key', warm: [1, 0, 0, 0], renewed: [1, 0, 0, 0], cold: [1, 0, 1, 0], run: insertNew('s2', 'i') },
  { request: 'insert beside an old key', warm: [1, 0, 0, 0], renewed: [1, 0, 0, 0], cold: [1, 0, 1, 0], run: insertBeside(away) },
  { request: 'insert without its id', warm: [1, 0, 0, 0], renewed: [1, 0, 0, 0], cold: [1, 1, 1, 0], run: (db, n) => db.insert(posts).values({ userId: at(away, n) }) },
  { request: 'insert without its id, the shard key', warm: [1, 0, 0, 0], renewed: [1, 0, 0, 0], cold: [1, 1, 1, 0], run: (db) => db.insert(tickets).values({ title: 't' }) },
  { request: 'update by key', warm: [1, 0, 0, 0], renewed: [1, 0, 0, 0], cold: [1, 0, 1, 0], run: updateKey(at(away, 0)) },
  { request: 'batch on a new key', warm: [1, 0, 0, 0], renewed: [1, 0, 0, 0], cold: [1, 0, 1, 0], run: batchOnNew('s2', 'b') },
  { request: 'batch on an old key', warm: [1, 0, 0, 0], renewed: [1, 0, 0, 0], cold: [1, 0, 1, 0], run: batchOnOld },
  { request: 'read of 6 keys, on 2 shards', warm: [2, 0, 0, 0], renewed: [2, 0, 0, 0], cold: [3, 0, 1, 0], run: readKeys },
  { request: 'read of all 3 shards, merged', warm: [3, 0, 0, 0], renewed: [3, 0, 0, 0], cold: [4, 0, 1, 0], run: readMerged },
  { request: 'read of all 3 shards, finished on one', warm: [4, 0, 0, 0], renewed: [4, 0, 0, 0], cold: [5, 0, 1, 0], run: readGathered },
  { request: 'insert of 3 keys, on 3 shards', warm: [6, 0, 0, 0], renewed: [6, 0, 0, 0], cold: [6, 0, 1, 0], run: (db, n) => db.insert(users).values(['s0', 's1', 's2'].map((shard) => row(at(homed(shard, 'm'), n)))) },
  { request: 'update of all 3 shards', warm: [9, 0, 0, 0], renewed: [9, 0, 0, 0], cold: [9, 0, 1, 0], run: updateAll },
];

// biome-ignore format: one request a line, so that the numbers stand below each other.
const DIRECTORY: readonly Row[] = [
  { request: 'read by key, at home', warm: [1, 0, 0, 0], renewed: [1, 0, 0, 0], cold: [1, 0, 2, 0], run: readKey(at(home, 0)) },
  { request: 'read by key, elsewhere', warm: [1, 0, 0, 0], renewed: [1, 0, 0, 0], cold: [1, 0, 2, 0], run: readKey(at(away, 0)) },
  { request: 'read of an unknown key', warm: [1, 0, 1, 0], renewed: [1, 0, 1, 0], cold: [1, 0, 2, 0], run: readKey('nobody') },
  { request: 'insert of a new key, placed at home', warm: [2, 0, 0, 0], renewed: [2, 0, 0, 0], cold: [3, 0, 1, 0], run: insertNew('s1', 'i') },
  { request: 'insert of a new key, placed elsewhere', warm: [2, 0, 0, 1], renewed: [2, 0, 0, 1], cold: [3, 0, 1, 1], run: insertNew('s2', 'j') },
  { request: 'insert beside a key just inserted', warm: [1, 0, 0, 0], renewed: [1, 0, 0, 0], cold: [1, 0, 0, 0], before: insertNew('s2', 'k'), run: insertBeside(homed('s2', 'k')) },
  { request: 'insert beside an old key', warm: [2, 0, 0, 1], renewed: [2, 0, 0, 1], cold: [3, 0, 1, 1], run: insertBeside(away) },
  { request: 'update by key, elsewhere', warm: [1, 0, 0, 0], renewed: [1, 0, 0, 0], cold: [1, 0, 2, 0], run: updateKey(at(away, 0)) },
  { request: 'batch on a new key', warm: [2, 0, 0, 1], renewed: [2, 0, 0, 1], cold: [3, 0, 1, 1], run: batchOnNew('s2', 'b') },
  { request: 'batch on an old key', warm: [1, 0, 0, 0], renewed: [1, 0, 0, 0], cold: [1, 0, 2, 0], run: batchOnOld },
  { request: 'read of 6 keys, on 1 shard', warm: [1, 0, 0, 0], renewed: [1, 0, 0, 0], cold: [1, 0, 2, 0], run: readKeys },
  { request: 'read of all 3 shards, merged', warm: [3, 0, 0, 0], renewed: [3, 0, 0, 0], cold: [4, 0, 1, 0], run: readMerged },
  { request: 'read of all 3 shards, finished on one', warm: [4, 0, 0, 0], renewed: [4, 0, 0, 0], cold: [5, 0, 1, 0], run: readGathered },
  { request: 'update of all 3 shards', warm: [9, 0, 0, 0], renewed: [9, 0, 0, 0], cold: [9, 0, 1, 0], run: updateAll },
];

const numbersOf = ({ d1, catalog, kvReads, kvWrites }: Calls): Numbers => [d1, catalog, kvReads, kvWrites];

async function cost(isolate: Isolate, run: () => PromiseLike<unknown>): Promise<Numbers> {
  isolate.reset();
  await run();
  return numbersOf(isolate.calls);
}

/** A cluster with users, and with sequences that have begun. */
async function seeded(fleet: Fleet, strategy: Strategy): Promise<Fleet> {
  const db = open(fleet.isolate(), { strategy });
  await db.insert(users).values([...home, ...away].map(row));
  await db.insert(posts).values({ userId: at(away, 0) });
  await db.insert(tickets).values({ title: 'first' });
  return fleet;
}

describe.each(PLACES)('calls, the catalog in the %s', (place) => {
  describe.each([
    ['hash', 'hash', HASH],
    ['a directory strategy', OWN_HOME, DIRECTORY],
  ] as const)('under %s', (_name, strategy, list) => {
    let fleet: Fleet;
    beforeAll(async () => {
      await migrated();
      fleet = await seeded(new Fleet(place, env.KV), strategy);
    });

    it.each(list)('$request: $warm, $renewed, $cold', async ({ run, before, warm, renewed, cold }) => {
      const isolate = fleet.isolate();
      const costOf = async (own: Isolate, db: Database, n: number) => {
        await before?.(db, n);
        return cost(own, () => run(db, n));
      };
      const db = open(isolate, { strategy });
      await costOf(isolate, db, 0);
      const measured: Record<string, Numbers> = {};
      measured.warm = await costOf(isolate, db, 1);
      measured.renewed = await costOf(isolate, open(isolate, { strategy }), 2);
      const begun = fleet.isolate();
      measured.cold = await costOf(begun, open(begun, { strategy }), 3);
      expect(measured).toEqual({ warm, renewed, cold });
    });
  });

  describe('besides', () => {
    let fleet: Fleet;
    beforeEach(async () => {
      await migrated();
      fleet = new Fleet(place, env.KV);
    });

    it('round-robin asks the catalog for twice as many turns each time, at most 32', async () => {
      await seeded(fleet, 'round-robin');
      const isolate = fleet.isolate();
      const db = open(isolate, { strategy: 'round-robin' });
      const counts: Numbers[] = [];
      for (const id of keysOf('r', 33)) counts.push(await cost(isolate, () => db.insert(users).values(row(id))));
      // The 1st, 2nd, 4th, 8th, 16th and 32nd new key: isolates that place one each must not all begin a round.
      expect(counts.flatMap(([, catalog], i) => (catalog === 0 ? [] : [[i + 1, catalog]]))).toEqual(
        [1, 2, 4, 8, 16, 32].map((nth) => [nth, 1]),
      );
      // Each home is asked for its tables once in the life of an isolate.
      expect(counts.map(([d1]) => d1).filter((d1) => d1 !== 2)).toEqual([3, 3, 3]);
      expect(counts.map(([, , kvReads]) => kvReads)).toEqual([1, ...Array(32).fill(0)]);
    });

    it('ids are asked of the catalog 64 at a time, and of the rows only once in the life of a cluster', async () => {
      const isolate = fleet.isolate();
      const db = open(isolate);
      await db.$cluster.shards();
      const insert = () => cost(isolate, () => db.insert(posts).values({ userId: 'a' }));
      // The highest id that there is: the table's shape, and a read of all shards.
      expect(await insert()).toEqual([5, 2, 0, 0]);
      const counts: Numbers[] = [];
      for (let i = 0; i < 64; i++) counts.push(await insert());
      expect(counts).toEqual([...Array(63).fill([1, 0, 0, 0]), [1, 1, 0, 0]]);
      const begun = fleet.isolate();
      expect(await cost(begun, () => open(begun).insert(posts).values({ userId: 'a' }))).toEqual([1, 1, 1, 0]);
    });

    it('a write to a replicated table is journaled, decided and struck out in the catalog', async () => {
      const isolate = fleet.isolate();
      const replicated = { ...tables, tickets: { replicated: true } } as const;
      const db = shardedDrizzle({ ...isolate.config, schema, tables: replicated });
      await db.insert(tickets).values({ id: 1, title: 'first' });
      expect(await cost(isolate, () => db.update(tickets).set({ title: 'second' }))).toEqual([9, 3, 0, 0]);
    });

    it('a hint that KV has lost costs a round trip and a write, once', async () => {
      await seeded(fleet, OWN_HOME);
      for (const { name } of (await env.KV.list()).keys) if (name.includes(':key:')) await env.KV.delete(name);
      const isolate = fleet.isolate();
      const db = open(isolate, { strategy: OWN_HOME });
      expect(await cost(isolate, () => readKey(at(away, 0))(db))).toEqual([2, 0, 2, 1]);
      expect(await cost(isolate, () => readKey(at(away, 0))(db))).toEqual([1, 0, 0, 0]);
      const next = fleet.isolate();
      expect(await cost(next, () => readKey(at(away, 0))(open(next, { strategy: OWN_HOME })))).toEqual([1, 0, 2, 0]);
    });

    it('without KV, a cold isolate asks the catalog once, and homes forward', async () => {
      const bare = await seeded(new Fleet(place), OWN_HOME);
      const isolate = bare.isolate();
      const db = open(isolate, { strategy: OWN_HOME });
      expect(await cost(isolate, () => readKey('nobody')(db))).toEqual([1, 1, 0, 0]);
      expect(await cost(isolate, () => readKey(at(away, 0))(db))).toEqual([2, 0, 0, 0]);
      expect(await cost(isolate, () => readKey(at(away, 0))(db))).toEqual([1, 0, 0, 0]);
    });

    it('a keyspace that is back at hash reads KV once for a key, not for each query', async () => {
      await seeded(fleet, OWN_HOME);
      const isolate = fleet.isolate();
      const db = open(isolate);
      await db.insert(users).values(row(at(homed('s2', 'q'), 0)));
      await readKey(at(homed('s2', 'q'), 0))(db);
      expect(await cost(isolate, () => readKey(at(homed('s2', 'q'), 0))(db))).toEqual([1, 0, 0, 0]);
    });

    it("tables that are not the schema's, such as the migrator's, cost an insert nothing", async () => {
      await runEverywhere(shards(MAX_SHARDS), [
        // As drizzle-orm's migrate() makes it.
        'create table __drizzle_migrations (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at numeric)',
        'create table visits (id text primary key)',
      ]);
      await seeded(fleet, OWN_HOME);
      const isolate = fleet.isolate();
      const db = open(isolate, { strategy: OWN_HOME });
      const insert = insertNew('s2', 'v');
      await insert(db, 0);
      expect(await cost(isolate, () => insert(db, 1))).toEqual([2, 0, 0, 1]);
      expect(await cost(isolate, () => insert(open(isolate, { strategy: OWN_HOME }), 2))).toEqual([2, 0, 0, 1]);
    });

    it('many keys at once cost few operations on KV: an invocation has 1,000 for all that it calls', async () => {
      const keys = keysOf('w', 300);
      const insert = (db: Database) => db.insert(users).values(keys.map(row));
      const readAll = (db: Database) => db.select().from(users).where(inArray(users.id, keys));
      for (const run of [insert, readAll]) {
        const begun = fleet.isolate();
        const [, , reads, writes] = await cost(begun, () => run(open(begun, { strategy: OWN_HOME })));
        expect(reads + writes).toBeLessThanOrEqual(100);
      }
    });
  });
});
