import { count, eq, sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ShardedDrizzleError, ShardQueryError, UnknownOutcomeError } from '../../src';
import type { TestCluster } from '../../src/testing';
import { countries, people, posts, type schema, users } from './schema';

type Cluster = TestCluster<typeof schema, 's-0' | 's-1' | 's-2'>;

/** What is the same in Node and in workerd, over three shards. */
export function clusterCases(open: () => Promise<Cluster>): void {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await open();
  });
  beforeEach(() => cluster.reset());
  afterAll(() => cluster.dispose());

  const idsOn = async (shard: keyof Cluster['shards']) => {
    const { results } = await cluster.shards[shard].database.prepare('select id from users').all<{ id: string }>();
    return results.map(({ id }) => id);
  };
  const oneOf = async (shard: keyof Cluster['shards']) => {
    await cluster.db.insert(users).values(people);
    const [id] = await idsOn(shard);
    cluster.calls.clear();
    return id ?? '';
  };

  describe('a test cluster', () => {
    it('has its migrations on every shard, and its rows spread', async () => {
      const { same, shards } = await cluster.db.$cluster.schemaVersion();
      expect(same).toBe(true);
      expect(shards.map(({ shard }) => shard)).toEqual(['s-0', 's-1', 's-2']);
      await cluster.db.insert(users).values(people);
      await cluster.db.insert(countries).values({ code: 'at' });
      const perShard = await Promise.all((['s-0', 's-1', 's-2'] as const).map(idsOn));
      expect(perShard.every((ids) => ids.length > 0)).toBe(true);
      expect(perShard.flat().sort()).toEqual(people.map(({ id }) => id).sort());
      for (const { database } of Object.values(cluster.shards)) {
        expect(await database.prepare('select code from countries').first('code')).toBe('at');
      }
      expect(await cluster.db.select().from(users).orderBy(users.id).limit(2)).toEqual([people[0], people[1]]);
    });

    it('keeps its catalog in the coordinator', async () => {
      for (const { database } of Object.values(cluster.shards)) {
        const { results } = await database
          .prepare("select 1 from sqlite_master where name glob '_shard_catalog_*'")
          .all();
        expect(results).toEqual([]);
      }
      expect(await cluster.bindings.kv?.get('sharded-drizzle:default:map', 'json')).toMatchObject({
        base: expect.any(Number),
      });
    });

    it('counts the round trips of a query', async () => {
      const id = await oneOf('s-1');
      await cluster.db.select().from(users).where(eq(users.id, id));
      expect(cluster.calls.shards).toEqual(['s-1']);
      expect(cluster.calls.total).toBe(1);
      expect(
        cluster.calls
          .of('s-1')[0]
          ?.statements.map(({ sql: text }) => text)
          .at(-1),
      ).toContain('from "users"');
      cluster.calls.clear();
      await cluster.db.select().from(users);
      expect(cluster.calls.shards).toEqual(['s-0', 's-1', 's-2']);
    });

    it('tells which shard owns a key', async () => {
      const id = await oneOf('s-2');
      expect(await cluster.shardOf(id)).toBe(cluster.shards['s-2']);
      await cluster.db.$cluster.reassign(id, 's-1');
      expect((await cluster.shardOf(id)).name).toBe('s-1');
    });

    it('moves rows', async () => {
      const id = await oneOf('s-0');
      await cluster.db.$cluster.reassign(id, 's-2');
      expect(await idsOn('s-2')).toContain(id);
      expect(await cluster.db.select().from(users).where(eq(users.id, id))).toHaveLength(1);
    });

    it('begins again after reset, with the same db', async () => {
      const { db } = cluster;
      await db.insert(users).values(people);
      const first = await db.insert(posts).values({ userId: 'user-1' }).returning();
      cluster.shards['s-0'].down();
      await cluster.reset();
      expect(await db.select({ n: count() }).from(users)).toEqual([{ n: 0 }]);
      await db.insert(users).values(people);
      expect(await db.select({ n: count() }).from(users)).toEqual([{ n: people.length }]);
      // Sequences as well.
      expect(await db.insert(posts).values({ userId: 'user-1' }).returning()).toEqual(first);
      expect((await db.$cluster.verify()).ok).toBe(true);
    });

    it('runs raw SQL, sessions and values of all kinds', async () => {
      const { database } = cluster.shards['s-0'];
      const values = ['x', 1.5, null, new Uint8Array([1, 2])];
      const row = await database
        .prepare('select ? as a, ? as b, ? as c, ? as d')
        .bind(...values)
        .first();
      expect(row).toEqual({ a: 'x', b: 1.5, c: null, d: [1, 2] });
      expect(await database.prepare('select 1 as a, 2 as a').raw({ columnNames: true })).toEqual([
        ['a', 'a'],
        [1, 2],
      ]);
      expect(() => database.prepare('select ?').bind(undefined)).toThrow("Type 'undefined' not supported");
      await expect(database.prepare('selec').all()).rejects.toThrow('D1_ERROR: near "selec": syntax error');
      await database.exec("insert into users (id, name) values ('a', 'Ada')");
      const session = database.withSession('first-primary');
      expect(await session.prepare('select name from users').first('name')).toBe('Ada');
      expect(session.getBookmark()).toEqual(expect.any(String));
      expect(await cluster.db.get(sql`select 7 as n`)).toBeTruthy();
    });
  });

  describe('a fault', () => {
    it('in a read is passed over by the router', async () => {
      const id = await oneOf('s-0');
      const fault = cluster.shards['s-0'].fail({ on: 'from "users"', times: 2 });
      expect(await cluster.db.select().from(users).where(eq(users.id, id))).toHaveLength(1);
      expect(fault.hits).toBe(2);
      expect(cluster.calls.of('s-0')).toHaveLength(3);
    });

    it('that loses the answer of a write leaves the row there', async () => {
      const id = await oneOf('s-1');
      await cluster.db.delete(users).where(eq(users.id, id));
      const fault = cluster.shards['s-1'].fail({ on: /insert into "users"/, times: 1, when: 'after' });
      const error = await failureOf(cluster.db.insert(users).values({ id, name: 'Ada' }));
      expect(error).toBeInstanceOf(UnknownOutcomeError);
      expect(error).toMatchObject({ shard: 's-1' });
      expect(fault.hits).toBe(1);
      expect(await idsOn('s-1')).toContain(id);
    });

    it('is wrapped by Drizzle as any error', async () => {
      (await cluster.shardOf('ada')).fail({ on: /insert into "users"/, times: 1, when: 'after' });
      await expect(cluster.db.insert(users).values({ id: 'ada', name: 'Ada' })).rejects.toMatchObject({
        cause: { code: 'UNKNOWN_OUTCOME' },
      });
    });

    it('before a write leaves nothing there', async () => {
      const id = await oneOf('s-1');
      await cluster.db.delete(users).where(eq(users.id, id));
      cluster.shards['s-1'].fail({ on: /insert into "users"/ });
      expect(await failureOf(cluster.db.insert(users).values({ id, name: 'Ada' }))).toBeInstanceOf(UnknownOutcomeError);
      expect(await idsOn('s-1')).not.toContain(id);
    });

    it('that surely kept a write from its shard is passed over', async () => {
      const id = await oneOf('s-1');
      const fault = cluster.shards['s-1'].fail({ on: 'delete from "users"', times: 1, error: 'unreachable' });
      await cluster.db.delete(users).where(eq(users.id, id));
      expect(fault.hits).toBe(1);
      expect(await idsOn('s-1')).not.toContain(id);
    });

    it('may be an error of one’s own, and hits one shard only', async () => {
      const id = await oneOf('s-2');
      const boom = new Error('boom');
      const fault = cluster.shards['s-0'].fail({ error: boom });
      expect(await cluster.db.select().from(users).where(eq(users.id, id))).toHaveLength(1);
      expect(fault.hits).toBe(0);
      expect(await failureOf(cluster.db.select().from(users))).toMatchObject({ code: 'SHARD_QUERY', shard: 's-0' });
      fault.remove();
      expect(await cluster.db.select().from(users)).toHaveLength(people.length);
    });

    it('skips what it is told to: the write behind its rehearsal', async () => {
      await cluster.db.insert(users).values(people);
      cluster.shards['s-0'].fail({ on: /update "users"/, skip: 1, times: 1, when: 'after' });
      const error = await failureOf(cluster.db.update(users).set({ name: 'x' }));
      expect(error).toMatchObject({ code: 'PARTIAL_WRITE', failed: [{ shard: 's-0' }] });
    });

    it('of a shard that is down ends when it is healed', async () => {
      const id = await oneOf('s-0');
      const other = (await idsOn('s-1'))[0] ?? '';
      cluster.shards['s-0'].down();
      expect(await failureOf(cluster.db.select().from(users).where(eq(users.id, id)))).toBeInstanceOf(ShardQueryError);
      expect(await cluster.db.select().from(users).where(eq(users.id, other))).toHaveLength(1);
      cluster.heal();
      expect(await cluster.db.select().from(users).where(eq(users.id, id))).toHaveLength(1);
    });

    it('by chance is the same one with the same seed', async () => {
      const id = await oneOf('s-0');
      const pattern = async (seed: number) => {
        const boom = new Error('boom');
        const fault = cluster.shards['s-0'].fail({ on: 'from "users"', chance: 0.5, seed, error: boom });
        const failed: boolean[] = [];
        for (let i = 0; i < 12; i++) {
          const query = cluster.db.select().from(users).where(eq(users.id, id));
          failed.push((await failureOf(query)) !== undefined);
        }
        fault.remove();
        return failed;
      };
      const first = await pattern(1);
      expect(new Set(first).size).toBe(2);
      expect(await pattern(1)).toEqual(first);
      expect(await pattern(2)).not.toEqual(first);
    });

    it('may be slowness', async () => {
      const id = await oneOf('s-0');
      cluster.shards['s-0'].slow(({ method }) => (method === 'batch' ? 120 : 0));
      const start = Date.now();
      await cluster.db.select().from(users).where(eq(users.id, id));
      expect(Date.now() - start).toBeGreaterThanOrEqual(119);
    });

    it('that makes no sense is refused', () => {
      expect(() => cluster.shards['s-0'].fail({ chance: 2 })).toThrow(ShardedDrizzleError);
      expect(() => cluster.shards['s-0'].fail({ times: -1 })).toThrow(ShardedDrizzleError);
    });
  });
}

/** What a query fails with, as it was before Drizzle wrapped it. */
const failureOf = (query: PromiseLike<unknown>): Promise<unknown> =>
  Promise.resolve(query).then(
    () => undefined,
    (error: unknown) =>
      error instanceof Error && !(error instanceof ShardedDrizzleError) ? (error.cause ?? error) : error,
  );
