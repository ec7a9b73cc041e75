import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { type ShardedConfig, shardedDrizzle } from '../../src';
import { countingShards } from '../support/counting-d1';
import { faultyD1 } from '../support/faulty-d1';
import { InterceptedD1 } from '../support/intercepted-d1';
import {
  begin,
  collect,
  databases,
  fill,
  MOVING,
  makeTables,
  numberOf,
  ON_S1,
  ON_S2,
  pause,
  router,
  rows,
  rowsOnShards,
  SCOPES,
  STAYING,
  write,
} from './moving';

const USER = 'select n from users where id = ?';
const ITS_ROW = [[numberOf(MOVING)]];
const move = async (kind: keyof typeof SCOPES, to: 's0' | 's1' | 's2') => {
  const mover = await begin(SCOPES[kind], to);
  await mover.finish();
  return mover;
};
beforeEach(async () => {
  await makeTables();
  await fill(router());
});

describe('a router that knows an old place', () => {
  it.each(['a key', 'slots'] as const)('follows MOVED once, and knows the new place then: %s', async (kind) => {
    const { shards, total } = countingShards(databases());
    const d1 = router({ shards });
    await rows(d1, USER, MOVING);
    await move(kind, 's1');
    total.reset();
    expect(await rows(d1, USER, MOVING)).toEqual(ITS_ROW);
    // The old place and the new one; the catalog, where a range has moved.
    expect(total.calls).toBe(kind === 'a key' ? 2 : 3);
    total.reset();
    expect(await rows(d1, USER, MOVING)).toEqual(ITS_ROW);
    expect(total.calls).toBe(1);
  });

  it('asks the catalog when a shard only knows that it does not own the slot', async () => {
    const { shards, total } = countingShards(databases());
    const d1 = router({ shards });
    await rows(d1, USER, MOVING);
    await (await move('slots', 's1')).tidy();
    total.reset();
    expect(await rows(d1, USER, MOVING)).toEqual(ITS_ROW);
    expect(total.calls).toBe(3);
    await write(d1, 'update users set n = n + 1 where id = ?', MOVING);
    expect(total.calls).toBe(4);
  });

  it('asks the home of a key when its old shard has forgotten it', async () => {
    await move('a key', 's1');
    const d1 = router();
    expect(await rows(d1, USER, MOVING)).toEqual(ITS_ROW);
    await move('a key', 's2');
    await collect(databases().s1);
    expect(await rows(d1, USER, MOVING)).toEqual(ITS_ROW);
    await write(d1, 'update users set n = 1000 where id = ?', MOVING);
    expect(await rowsOnShards('select n from users where id = ?', MOVING)).toEqual([['s2', 1000]]);
  });

  it('forgets the old place when the key is on its home again', async () => {
    const { shards, total } = countingShards(databases());
    await move('a key', 's1');
    const d1 = router({ shards });
    expect(await rows(d1, USER, MOVING)).toEqual(ITS_ROW);
    await move('a key', 's0');
    await collect(databases().s1);
    for (const calls of [2, 1]) {
      total.reset();
      expect(await rows(d1, USER, MOVING)).toEqual(ITS_ROW);
      expect(total.calls).toBe(calls);
    }
  });

  it('also in a list of keys, when another shard says first that it is not settled', async () => {
    await move('a key', 's2');
    const s2 = faultyD1(databases().s2, { latency: 20 });
    const d1 = router({ moveTimeout: 500, shards: { ...databases(), s2 } });
    expect(await rows(d1, USER, MOVING)).toEqual(ITS_ROW);
    await move('a key', 's0');
    await collect(databases().s2);
    const both = [MOVING, STAYING].sort().map((id) => [id]);
    expect(await rows(d1, 'select id from users where id in (?, ?) order by id', MOVING, STAYING)).toEqual(both);
  });

  it.each(['a key', 'slots'] as const)('finds a key that has gone round all shards: %s', async (kind) => {
    const d1 = router();
    for (const to of ['s1', 's2', 's0', 's2', 's1', 's0'] as const) {
      const stale = router();
      await rows(stale, USER, STAYING);
      await move(kind, to);
      expect(await rows(d1, USER, MOVING)).toEqual(ITS_ROW);
      expect(await rows(stale, 'select count(*) from users')).toEqual([[30]]);
      expect(await rows(stale, USER, MOVING)).toEqual(ITS_ROW);
    }
    const old = router();
    await rows(old, USER, MOVING);
    for (const to of ['s1', 's2', 's0'] as const) await move(kind, to);
    expect(await rows(old, USER, MOVING)).toEqual(ITS_ROW);
  });

  it('believes the catalog more than addresses that lead in a circle', async () => {
    const d1 = router();
    await rows(d1, USER, STAYING);
    for (const to of ['s1', 's0'] as const) await move('slots', to);
    // s0 and s1 have each other's address of before; only the last one is forgotten.
    await (await move('slots', 's2')).tidy();
    expect(await rows(d1, USER, MOVING)).toEqual(ITS_ROW);
    expect(await rows(d1, USER, MOVING)).toEqual(ITS_ROW);
  });

  it('goes by a map in KV that is older than a move, and puts the new one there', async () => {
    const kv = { kv: env.KV };
    await rows(router(kv), USER, MOVING);
    await move('slots', 's1');
    const { shards, total } = countingShards(databases());
    expect(await rows(router({ ...kv, shards }), USER, MOVING)).toEqual(ITS_ROW);
    total.reset();
    // Another isolate: straight to the right shard.
    expect(await rows(router({ ...kv, shards }), USER, MOVING)).toEqual(ITS_ROW);
    // One for the table's shape.
    expect(total.calls).toBe(2);
  });

  it('asks the catalog before it misses a shard that the map in KV still has', async () => {
    const kv = { kv: env.KV };
    await rows(router(kv), USER, MOVING);
    // All that s2 has goes to s1, and the shard is retired.
    await (await begin({ slots: [10923, 16383] }, 's1')).finish();
    const { s0, s1, s2 } = databases();
    const [[digest]] = (await rows(s2, 'select digest from _shard_identity')) as [[number]];
    await write(s0, "update _shard_catalog_shards set state = 'retired' where name = 's2'");
    await write(s0, 'update _shard_catalog_cluster set epoch = epoch + 1, base = cast(? as integer)', String(digest));
    const deployed = () => router({ ...kv, shards: { s0, s1 } });
    expect(await rows(deployed(), USER, ON_S2)).toEqual([[numberOf(ON_S2)]]);
    expect(await rows(deployed(), 'select count(*) from users')).toEqual([[30]]);
  });

  it('reads through a session, and gets the plain database of a key', async () => {
    const d1 = router();
    await rows(d1, USER, MOVING);
    const db = shardedDrizzle({ shards: databases() });
    await db.$forKey(MOVING);
    await move('slots', 's2');
    const session = d1.withSession('first-unconstrained');
    expect(await session.prepare(USER).bind(MOVING).raw()).toEqual(ITS_ROW);
    expect((await db.$forKey(MOVING)).$client).toBe(db.$shard('s2').$client);
  });
});

describe('a move that begins between the rehearsal of a write and the write', () => {
  /** Freezes the key when its shard is to write after the rehearsal, and lets the move go on after a while. */
  async function freezing(config: Partial<ShardedConfig>, ms: number): Promise<D1Database> {
    const mover = await begin(SCOPES.slots, 's1');
    const s0 = new InterceptedD1(databases().s0, async (call, run) => {
      const isWrite = call.statements.some(({ sql }) => /^(insert into posts|update users)/.test(sql));
      const isRehearsal = call.statements.some(({ sql }) => sql.includes('SHARD_REHEARSED'));
      if (isWrite && !isRehearsal && mover.last === undefined) {
        await mover.through('freeze');
        void pause(ms).then(mover.finish);
      }
      return run();
    });
    return router({ ...config, shards: { ...databases(), s0 } });
  }

  it.each([
    ['', {}],
    [', also without one', { rehearseWrites: false }],
  ])('an insert waits, and writes each row once%s', async (_how, config) => {
    const d1 = await freezing(config, 100);
    const posts = [MOVING, ON_S1, STAYING].map((id) => `('x${id}', '${id}', 1)`).join(', ');
    await write(d1, `insert into posts (id, user_id, n) values ${posts}`);
    const found = await rowsOnShards("select user_id from posts where id like 'x%'");
    const places = { [STAYING]: 's0', [MOVING]: 's1', [ON_S1]: 's1' };
    expect(found.map(([shard, id]) => [id, shard]).sort()).toEqual(Object.entries(places).sort());
  });

  it('a batch on several shards waits, and is applied on all of them', async () => {
    const d1 = await freezing({ crossShardBatch: 'per-shard' }, 100);
    const ids = [MOVING, ON_S1];
    await d1.batch(ids.map((id) => d1.prepare('update users set n = n + 100 where id = ?').bind(id)));
    for (const id of ids) expect(await rows(router(), USER, id)).toEqual([[numberOf(id) + 100]]);
  });

  it('it waits as long as moveTimeout says', async () => {
    const d1 = await freezing({ moveTimeout: 10_000 }, 2500);
    const { meta } = await write(d1, 'update users set n = n + 100 where n < 1000 order by n limit 30');
    expect(meta.changes).toBe(30);
    expect(await rows(router(), 'select min(n), max(n) from users')).toEqual([[100, 129]]);
  });
});
