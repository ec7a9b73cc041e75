import { eq } from 'drizzle-orm';
import { beforeEach, describe, expect, it } from 'vitest';
import { slotOf } from '../../src/placement/slots';
import { failureOf, keysOf, migrated, open, posts, users } from '../placement/fixture';
import { InterceptedD1 } from '../support/intercepted-d1';
import { Fleet, rowsEverywhere } from '../support/isolates';
import { type Accident, Mortal } from '../support/mortal';
import { Mover } from '../support/mover';
import { hashOwner } from '../support/owner';
import { runEverywhere } from '../support/seed';
import { shards } from '../support/shards';

const insertOld = async (shard: string, keys: readonly string[], prefix = 'old ') => {
  const d1 = shards(3)[shard] as D1Database;
  await d1
    .prepare('insert into users (id, name) select value, ?2 || value from json_each(?1)')
    .bind(JSON.stringify(keys), prefix)
    .run();
};
const three = hashOwner(['s0', 's1', 's2']);
const two = hashOwner(['s0', 's1']);
const at0 = keysOf('k', 100).filter((id) => two(id) === 's0');
const byKey = (db: ReturnType<typeof open>, id: string) => db.select().from(users).where(eq(users.id, id));
const TABLES = [
  { name: 'users', key: 'id' },
  { name: 'posts', key: 'user_id' },
  { name: 'orders', key: 'id' },
  { name: 'tickets', key: 'id' },
];

describe('a database that joins with rows while slots are moved', () => {
  let fleet: Fleet;
  beforeEach(async () => {
    await migrated();
    fleet = new Fleet('first D1');
  });

  it('hides none of them', async () => {
    const [id = '', other = ''] = at0;
    await open(fleet.isolate(2)).insert(users).values({ id: other, name: 'x' });
    const slot = slotOf(id);
    const mover = await Mover.begin({ shards: shards(2), tables: TABLES }, { slots: [slot, slot] }, 's1');
    await mover.through('freeze');
    await insertOld('s2', [id]);
    const db = open(fleet.isolate(3));
    const read = byKey(db, id).then((rows) => rows);
    await new Promise((resolve) => setTimeout(resolve, 150));
    await mover.finish();
    expect(await read).toHaveLength(1);
    expect(await byKey(open(fleet.isolate(3)), id)).toHaveLength(1);
  });

  it('is looked into by who follows an address', async () => {
    const [id = ''] = at0;
    await open(fleet.isolate(2)).insert(users).values({ id, name: 'x' });
    const slot = slotOf(id);
    const mover = await Mover.begin({ shards: shards(2), tables: TABLES }, { slots: [slot, slot] }, 's1');
    await mover.through('thaw');
    await insertOld('s2', ['z1']);
    const db = open(fleet.isolate(3));
    expect(await byKey(db, id)).toHaveLength(1);
    await db.update(users).set({ name: 'y' }).where(eq(users.id, id));
    await mover.finish();
    expect(await byKey(db, id)).toEqual([{ id, name: 'y' }]);
  });

  it('is looked into for keys that are at home without a record, whatever the strategy is now', async () => {
    const [id = ''] = at0;
    await open(fleet.isolate(2)).insert(users).values({ id, name: 'x' });
    await insertOld('s2', ['z1']);
    const db = open(fleet.isolate(3), { strategy: 'round-robin' });
    await db.insert(posts).values({ userId: id, body: 'b' });
    expect(await rowsEverywhere('select user_id from posts', shards(3))).toEqual([{ shard: 's0', user_id: id }]);
  });
});

describe('two databases with rows', () => {
  let fleet: Fleet;
  beforeEach(async () => {
    await migrated();
    fleet = new Fleet('coordinator');
    await insertOld('s0', keysOf('e', 20));
    await insertOld('s1', keysOf('w', 20));
  });

  it('are looked into although a part of a write was written', async () => {
    const db = open(fleet.isolate(), { rehearseWrites: false });
    await byKey(db, 'e1');
    const ids = ['e1', ...keysOf('w', 20).filter((id) => three(id) === 's2')];
    await db.insert(posts).values(ids.map((userId) => ({ userId, body: 'b' })));
    for (const id of ids) expect(await db.$count(posts, eq(posts.userId, id))).toBe(1);
    expect(await rowsEverywhere("select distinct user_id like 'e%' as e from posts", shards(3))).toEqual([
      { shard: 's0', e: 1 },
      { shard: 's1', e: 0 },
    ]);
  });

  it('are looked into on their primaries, as a replica may be behind', async () => {
    const [id = ''] = keysOf('w', 20).filter((one) => three(one) === 's2');
    const { config } = fleet.isolate();
    const s1 = config.shards.s1 as D1Database;
    const behind = new InterceptedD1(s1, async ({ statements }, run) => {
      const result = await run();
      const isWrite = statements.some((one) => /^(insert|update|delete)/.test(one.sql));
      if (isWrite || !Array.isArray(result)) return result;
      return result.map((one, i) =>
        /_shard_identity|pragma/.test(statements[i]?.sql ?? '') ? one : { ...one, results: [] },
      ) as never;
    });
    const replicated = new InterceptedD1(s1, (_, run) => run());
    replicated.withSession = (constraint) => (constraint === 'first-primary' ? s1 : behind).withSession(constraint);
    const db = open({ config: { ...config, shards: { ...config.shards, s1: replicated } } });
    await db.$count(users);
    const session = db.$client.withSession('first-unconstrained');
    const upsert = 'insert into users (id, name) values (?1, ?2) on conflict do update set name = excluded.name';
    await session.prepare(upsert).bind(id, 'seen').run();
    expect(await rowsEverywhere(`select name from users where id = '${id}'`, shards(3))).toEqual([
      { shard: 's1', name: 'seen' },
    ]);
  });
});

describe('who scans', () => {
  let fleet: Fleet;
  const west = keysOf('w', 20);
  const [twice = ''] = keysOf('c', 100).filter((id) => three(id) === 's2');
  const again = () => fleet.catalog('update _shard_catalog_jobs set leased_until = 0');
  beforeEach(async () => {
    await migrated();
    fleet = new Fleet('coordinator');
    await insertOld('s0', keysOf('e', 20));
    await insertOld('s1', west);
  });

  const scanning = async (at: string, accident: Accident) => {
    const mortal = new Mortal(fleet.isolate().config);
    const db = open({ config: mortal.config });
    await db.$cluster.shards();
    mortal.dooms(at, accident);
    const work = db.$cluster.adopt().catch((error: unknown) => error);
    await Promise.race([mortal.stopped, work]);
    await again();
    return { mortal, work };
  };

  it.each(['insert into _shard_keys (keyspace, key, slot, at, move)'])(
    'wakes up when rows have moved: %s',
    async (at) => {
      await open(fleet.isolate()).$cluster.shards();
      const first = await scanning('insert into _shard_adopting', 'die before');
      await first.work;
      const { mortal, work } = await scanning(at, 'stall before');
      const db = open(fleet.isolate());
      await db.$cluster.adopt();
      expect((await db.$cluster.adoption()).pending).toEqual([]);
      for (const id of west) await db.$cluster.reassign(id, 's2');
      mortal.wake();
      await work;
      for (const id of west) expect(await byKey(open(fleet.isolate()), id)).toHaveLength(1);
      expect((await db.$cluster.adoption()).conflicts).toEqual([]);
    },
  );

  it('dies before the shard that had a key is told of the conflict: nobody writes there', async () => {
    await insertOld('s0', [twice]);
    await insertOld('s1', [twice]);
    await open(fleet.isolate()).$cluster.shards();
    await (await scanning('insert into _shard_adopting', 'die before')).work;
    const old = open(fleet.isolate());
    expect(await byKey(old, twice)).toHaveLength(1);
    await (await scanning('delete from _shard_keys as t where', 'die before')).work;
    const db = open(fleet.isolate());
    await db.$cluster.adopt();
    await db.$cluster.resolveConflicts({ users: { prefer: 's1' } });
    await old.insert(posts).values({ userId: twice, body: 'b' });
    expect(await rowsEverywhere('select user_id from posts', shards(3))).toEqual([{ shard: 's1', user_id: twice }]);
    expect(await byKey(old, twice)).toHaveLength(1);
  });

  it('lists what it forgets where keys are being listed for a move', async () => {
    const db = open(fleet.isolate());
    const [id = ''] = keysOf('n', 100).filter((one) => three(one) === 's2');
    const slot = slotOf(id);
    // A record, and no row.
    await db.update(users).set({ name: 'nobody' }).where(eq(users.id, id));
    const rest = { lo: slot, hi: slot };
    expect(await failureOf(db.$cluster.moveSlots(rest, 's0'))).toMatchObject({ code: 'MOVE_REFUSED' });
    await db.insert(users).values({ id, name: 'new' });
    await db.$cluster.adopt();
    await db.$cluster.moveSlots(rest, 's0');
    expect(await byKey(open(fleet.isolate()), id)).toHaveLength(1);
  });

  it('begins anew when a table has gone', async () => {
    await open(fleet.isolate()).$cluster.shards();
    const slow = "json_set(options, '$.rowsPerMove', 5, '$.rowsPerSecond', 20)";
    await fleet.catalog(`update _shard_catalog_jobs set options = ${slow}`);
    const onProgress = () => {
      throw new Error('stopped');
    };
    await expect(open(fleet.isolate()).$cluster.adopt({ onProgress })).rejects.toThrow('stopped');
    await again();
    const [job] = await fleet.catalog('select place from _shard_catalog_jobs');
    expect(job?.place).toContain('"table":3');
    await runEverywhere(shards(3), ['drop table orders']);
    await fleet.catalog("update _shard_catalog_jobs set options = json_set(options, '$.rowsPerSecond', 10000)");
    await open(fleet.isolate()).$cluster.adopt();
    for (const id of keysOf('e', 20)) expect(await byKey(open(fleet.isolate()), id)).toHaveLength(1);
  });
});

describe('who decides', () => {
  let fleet: Fleet;
  beforeEach(async () => {
    await migrated();
    fleet = new Fleet('first D1');
  });
  it.each(['s0', 's1', 's2'])('late deletes nothing of a key that has moved since, its home %s', async (home) => {
    const ids = keysOf('c', 60)
      .filter((id) => three(id) === home)
      .slice(0, 3);
    await insertOld('s0', [...ids, 'e1'], 's0 ');
    await insertOld('s1', [...ids, 'w1'], 's1 ');
    await open(fleet.isolate()).$cluster.adopt();
    const mortal = new Mortal(fleet.isolate().config);
    const slow = open({ config: mortal.config });
    await slow.$cluster.shards();
    mortal.dooms('create table if not exists _shard_set_aside', 'stall before');
    const work = slow.$cluster.resolveConflicts({ users: { prefer: 's0' } }).catch((e: unknown) => e);
    await Promise.race([mortal.stopped, work]);
    const db = open(fleet.isolate());
    await db.$cluster.resolveConflicts({ users: { prefer: 's0' } });
    for (const id of ids) await db.$cluster.reassign(id, 's1');
    mortal.wake();
    await work;
    for (const id of ids)
      expect(await open(fleet.isolate()).select().from(users).where(eq(users.id, id))).toEqual([
        { id, name: `s0 ${id}` },
      ]);
    expect((await db.$cluster.verify()).text).toContain('all is well');
  });
  it('may stop half-way', async () => {
    for (let at = 1; ; at += 3) {
      await migrated();
      fleet = new Fleet('first D1');
      const ids = ['s0', 's1', 's2'].flatMap((home) =>
        keysOf('c', 60)
          .filter((id) => three(id) === home)
          .slice(0, 2),
      );
      await insertOld('s0', [...ids, 'e1'], 's0 ');
      await insertOld('s1', [...ids, 'w1'], 's1 ');
      await open(fleet.isolate()).$cluster.adopt();
      const mortal = new Mortal(fleet.isolate().config);
      const slow = open({ config: mortal.config });
      await slow.$cluster.shards();
      mortal.dooms(at, 'die after');
      const outcome = await slow.$cluster.resolveConflicts({ users: { prefer: 's1' } }).then(
        () => 'done',
        () => 'dead',
      );
      const db = open(fleet.isolate());
      await db.$cluster.resolveConflicts({ users: { prefer: 's1' } });
      for (const id of ids)
        expect(await db.select().from(users).where(eq(users.id, id)), `dead after call ${at}`).toEqual([
          { id, name: `s1 ${id}` },
        ]);
      expect((await db.$cluster.verify()).text).toContain('all is well');
      expect((await db.$cluster.adoption()).conflicts).toEqual([]);
      expect(
        (await rowsEverywhere('select key from _shard_set_aside', { s0: shards(1).s0 as D1Database })).length,
      ).toBe(ids.length);
      if (outcome === 'done') return;
    }
  }, 100_000);
});
