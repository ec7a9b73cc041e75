import { beforeEach, describe, expect, it } from 'vitest';
import { slotOf } from '../../src/placement/slots';
import { InterceptedD1 } from '../support/intercepted-d1';
import {
  atEachStop,
  begin,
  collect,
  databases,
  failureOf,
  fill,
  holdsWrites,
  homeOf,
  MOVING,
  makeTables,
  type Name,
  ON_S1,
  router,
  rows,
  rowsOnShards,
  SCOPES,
  whileStopped,
  write,
} from './moving';

const USER = 'select n from users where id = ?';
const INSERT = 'insert into users (id, n) values (?, 1)';
const placesOf = (id: string) => rowsOnShards('select n from users where id = ?', id);
/** A router whose strategy wants every new key on one shard. */
const wanting = (shard: Name) => router({ strategy: () => shard });
/** Keys that nobody has used, with their home on a shard. */
const newOn = (shard: Name, count: number, accept = (_id: string) => true): string[] => {
  const ids: string[] = [];
  for (let i = 0; ids.length < count; i++) if (homeOf(`new${i}`) === shard && accept(`new${i}`)) ids.push(`new${i}`);
  return ids;
};
const [lo, hi] = SCOPES.slots.slots;
const inMovingSlots = (id: string) => lo <= slotOf(id) && slotOf(id) <= hi;

beforeEach(async () => {
  await makeTables();
  await fill(router());
});

describe('new keys', () => {
  it('are placed where a strategy says although every shard has given something up', async () => {
    for (const d1 of Object.values(databases())) await write(d1, 'update _shard_identity set version = version + 3');
    const ids = [...newOn('s0', 2), ...newOn('s1', 2), ...newOn('s2', 2)];
    // Each on another shard than its home.
    const next = { s0: 's1', s1: 's2', s2: 's0' } as const;
    const wanted = (id: string) => next[homeOf(id) as Name];
    const d1 = router({ strategy: wanted });
    await write(d1, `insert into users (id, n) values ${ids.map(() => '(?, 1)').join(', ')}`, ...ids);
    for (const id of ids) expect(await placesOf(id)).toEqual([[wanted(id), 1]]);
  });

  it('are placed on a shard that has given up their slot', async () => {
    const [id] = newOn('s0', 1, inMovingSlots);
    await (await begin(SCOPES.slots, 's1')).finish();
    await write(wanting('s0'), INSERT, id);
    expect(await placesOf(id as string)).toEqual([['s0', 1]]);
    expect(await rows(router(), USER, id)).toEqual([[1]]);
  });

  it('that two routers want on two shards are where the first one has claimed them', async () => {
    const ids = newOn('s0', 12);
    for (const id of ids) {
      const both = await Promise.allSettled([wanting('s1'), wanting('s2')].map((d1) => write(d1, INSERT, id)));
      expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      expect(await placesOf(id)).toHaveLength(1);
    }
  });

  it('stay where rows of theirs are from before the strategy', async () => {
    const d1 = wanting('s2');
    await write(d1, "insert into posts (id, user_id, n) values ('x', ?, 1)", MOVING);
    expect(await rowsOnShards("select user_id from posts where id = 'x'")).toEqual([['s0', MOVING]]);
    expect(await failureOf(write(d1, INSERT, MOVING))).toMatchObject({ code: 'SHARD_QUERY', shard: 's0' });
  });

  it('can be claimed within a batch that has named them before', async () => {
    await write(wanting('s1'), INSERT, 'new');
    for (const id of ['new', 'unknown']) {
      const d1 = wanting('s2');
      await d1.batch([
        d1.prepare('update users set n = n + 1 where id = ?').bind(id),
        d1.prepare('insert into posts (id, user_id, n) values (?, ?, 1)').bind(`x${id}`, id),
      ]);
      expect(await rowsOnShards('select id from posts where user_id = ?', id)).toHaveLength(1);
    }
    expect(await placesOf('new')).toEqual([['s1', 2]]);
  });

  it('can be inserted wherever the mover of their slot stands still', async () => {
    const ids = newOn('s0', 24, inMovingSlots);
    const routers = (['s0', 's1', 's2'] as const).map(wanting);
    await rows(routers[0] as D1Database, 'select count(*) from users');
    await atEachStop('slots', async (mover, stop) => {
      const three = ids.splice(0, 3);
      const inserts = three.map((id, i) => write(routers[i] as D1Database, INSERT, id));
      await whileStopped(mover, holdsWrites(stop), Promise.all(inserts));
      await mover.finish();
      for (const id of three) {
        expect(await placesOf(id), stop).toHaveLength(1);
        for (const d1 of [...routers, router()]) expect(await rows(d1, USER, id), stop).toEqual([[1]]);
      }
    });
    expect(await rows(router(), 'select count(*) from users')).toEqual([[54]]);
  });
});

describe('a key that was claimed and not written', () => {
  beforeEach(async () => {
    await rows(wanting('s1'), 'select count(*) from users');
    // Its home knows where it shall be; that shard has never heard of it.
    const claim = "insert into _shard_keys (keyspace, key, slot, at) values ('default', 'new', ?, 's1')";
    expect(homeOf('new')).not.toBe('s1');
    await write(databases()[homeOf('new') as Name], claim, slotOf('new'));
  });

  it.each(['at first contact', 'after that shard has given something up'])('is no row: %s', async (when) => {
    if (when !== 'at first contact') await (await begin({ key: ON_S1 }, 's2')).finish();
    for (const d1 of [router(), wanting('s2')]) {
      expect(await rows(d1, USER, 'new')).toEqual([]);
      expect(await rows(d1, 'select count(*) from users')).toEqual([[30]]);
    }
  });

  it.each(['at first contact', 'after that shard has given something up'])('can be written: %s', async (when) => {
    if (when !== 'at first contact') await (await begin({ key: ON_S1 }, 's2')).finish();
    await write(wanting('s2'), INSERT, 'new');
    await write(router(), "update users set n = 2 where id = 'new'");
    expect(await placesOf('new')).toEqual([['s1', 2]]);
    // From now on that shard says itself that it has the key.
    expect(await rowsOnShards("select at from _shard_keys where key = 'new' and at = 's1'")).toContainEqual([
      's1',
      's1',
    ]);
  });

  it('is not missed when it is written, and moves on after its home has named the shard', async () => {
    await write(router(), INSERT, 'new');
    let moved = false;
    const s1 = new InterceptedD1(databases().s1, async (_call, run) => {
      if (!moved) {
        moved = true;
        await (await begin({ key: 'new' }, 's2')).finish();
        await collect(databases().s1);
      }
      return run();
    });
    const d1 = router({ shards: { ...databases(), s1 } });
    expect(await rows(d1, USER, 'new')).toEqual([[1]]);
    expect(moved).toBe(true);
  });

  it('can be moved before that', async () => {
    const warm = wanting('s0');
    expect(await rows(warm, USER, 'new')).toEqual([]);
    await (await begin({ key: 'new' }, 's2')).finish();
    await write(warm, INSERT, 'new');
    await write(router(), "update users set n = 2 where id = 'new'");
    expect(await placesOf('new')).toEqual([['s2', 2]]);
  });
});
