import { eq, inArray } from 'drizzle-orm';
import { beforeEach, describe, expect, it } from 'vitest';
import { failureOf, keysOf, migrated, open, orders, posts, tickets, users } from '../placement/fixture';
import { Fleet } from '../support/isolates';
import { Mortal } from '../support/mortal';
import { hashOwner } from '../support/owner';
import { run } from '../support/seed';
import { shards } from '../support/shards';

const homeOf = hashOwner(['s0', 's1', 's2']);
/** All new keys live on s1. */
const strategy = () => 's1';
const KEYS = keysOf('u', 20);
const on = (shard: 's0' | 's1' | 's2', ...sql: string[]) => run(shards(3)[shard] as D1Database, sql);

describe('records of keys without rows', () => {
  let fleet: Fleet;
  let db: ReturnType<typeof open>;
  const well = { ok: true, findings: [], notes: [] };
  const found = async () => {
    const { ok, findings, notes } = await db.$cluster.verify({ repair: true });
    return { ok, notes, findings: findings.map(({ kind, shard, key, repaired }) => ({ kind, shard, key, repaired })) };
  };

  beforeEach(async () => {
    await migrated();
    fleet = new Fleet('coordinator');
    db = open(fleet.isolate(), { strategy });
    for (const id of KEYS) await db.insert(users).values({ id, name: id });
    await db.insert(posts).values(KEYS.map((userId) => ({ userId, body: userId })));
  });

  it('are counted once the last row of a key is gone, and are no fault', async () => {
    const gone = KEYS.slice(0, 8);
    await db.delete(users).where(inArray(users.id, gone));
    expect(await found()).toEqual(well);
    await db.delete(posts).where(inArray(posts.userId, gone));
    await db.insert(orders).values({ id: 'u3', total: 1 });
    await db.insert(tickets).values([{ id: 5, title: 'stays' }, { id: 6 }]);
    await db.delete(tickets).where(eq(tickets.id, 6));
    const rowless = [...gone.filter((id) => id !== 'u3'), '6'].sort();
    for (let round = 1; round < 3; round++) {
      expect(await found()).toEqual({
        ...well,
        notes: [{ kind: 'rowless', shard: 's1', keyspace: 'default', keys: 8, examples: rowless.slice(0, 5) }],
      });
    }
    const { text } = await db.$cluster.verify();
    expect(text).toContain(
      "rowless on s1: keys of default that have a place here and no rows: 8 ('6', 'u0', 'u1', 'u2', 'u4', …).",
    );
    expect(text).toContain('all is well');
    // They have kept their place.
    await open(fleet.isolate(), { strategy: () => 's2' })
      .insert(users)
      .values(rowless.slice(1).map((id) => ({ id, name: 'again' })));
    expect((await db.$shard('s1').select().from(users)).map(({ name }) => name)).toContain('again');
    expect(await found()).toMatchObject({ ok: true, notes: [{ keys: 1, examples: ['6'] }] });
  });

  it('are counted on all pages', async () => {
    const list = "with recursive c(i) as (select 1 union all select i + 1 from c where i < 12000) select 'default',";
    await on(
      's1',
      `insert into _shard_keys (keyspace, key, slot, at) ${list} printf('x%05d', i), 1, 's1' from c`,
      "insert into users (id, name) select key, 'one' from _shard_keys where key in ('x00007', 'x04999', 'x05000', 'x11999')",
    );
    expect((await found()).notes).toEqual([
      {
        kind: 'rowless',
        shard: 's1',
        keyspace: 'default',
        keys: 11_996,
        examples: ['x00001', 'x00002', 'x00003', 'x00004', 'x00005'],
      },
    ]);
  });

  it('are told apart from those whose first write has failed, which the next one ends', async () => {
    const id = keysOf('new', 99).find((key) => homeOf(key) === 's0') as string;
    const mortal = new Mortal(fleet.isolate().config);
    const dying = open(mortal, { strategy });
    await dying.select().from(users);
    mortal.dooms('insert into "users"');
    await failureOf(dying.insert(users).values({ id, name: 'never' }));
    expect(await found()).toEqual({
      ...well,
      notes: [{ kind: 'unwritten', shard: 's0', at: 's1', keyspace: 'default', keys: 1, examples: [id] }],
    });
    expect((await db.$cluster.verify()).text).toContain(
      `unwritten on s0: keys of default given to s1 and not written there: 1 ('${id}').`,
    );
    await open(fleet.isolate(), { strategy: () => 's2' })
      .insert(users)
      .values({ id, name: 'now' });
    expect(await found()).toEqual(well);
    expect(await db.$shard('s1').select().from(users).where(eq(users.id, id))).toHaveLength(1);
  });

  it('are no excuse for rows where no record is', async () => {
    const key = KEYS.find((id) => homeOf(id) === 's2') as string;
    await on('s1', `delete from _shard_keys where key = '${key}'`);
    expect(await found()).toEqual({
      ok: false,
      notes: [],
      findings: [{ kind: 'unreachable', shard: 's1', key, repaired: false }],
    });
    // As its remedy says.
    await open(fleet.isolate(), { strategy }).update(users).set({ name: 'new' }).where(eq(users.id, key));
    expect(await found()).toEqual(well);
  });

  it('that a home has forgotten are found, and told again, unless it has rows of the key as well', async () => {
    const [key, other] = KEYS.filter((id) => homeOf(id) === 's2') as [string, string];
    const query = (id: string) =>
      open(fleet.isolate(), { strategy }).select({ id: users.id }).from(users).where(eq(users.id, id));
    await on('s2', `delete from _shard_keys where key in ('${key}', '${other}')`);
    await on('s2', `insert into users (id, name) values ('${other}', 'twin')`);
    expect(await query(key)).toEqual([]);
    const finding = { kind: 'unreachable', shard: 's1', repaired: false };
    const report = await db.$cluster.verify();
    expect(report.findings.filter(({ kind }) => kind === 'unreachable')).toMatchObject(
      [key, other].sort().map((id) => ({ ...finding, key: id })),
    );
    const { findings } = await db.$cluster.verify({ repair: true });
    expect(findings.filter((one) => one.kind === 'unreachable')).toMatchObject(
      [key, other].sort().map((id) => ({ key: id, repaired: id === key })),
    );
    expect(await query(key)).toEqual([{ id: key }]);
  });
});
