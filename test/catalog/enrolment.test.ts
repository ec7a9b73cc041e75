import { beforeEach, describe, expect, it } from 'vitest';
import type { Catalog, Enrolled, Enrolment, OpenRequest } from '../../src/catalog/catalog';
import { type Store, stores } from './stores';

const named = (...names: string[]) => names.map((name) => ({ name }));
const spaces = (...names: string[]) => names.map((name) => ({ name, strategy: 'hash' }));
const request = (...names: string[]): OpenRequest => ({ shards: named(...names), keyspaces: spaces('default') });

const told = (pending: readonly Enrolment[]): Enrolled[] =>
  pending.map(({ shard, keyspaces }) => ({ shard, keyspaces: keyspaces.map(({ name }) => name) }));

describe.each(stores)('enrolment by a %s', (_name, fresh) => {
  let store: Store;
  let catalog: Catalog;

  const stateOf = async (shard: string) => {
    const view = await catalog.map();
    return view?.map.shards.find(({ name }) => name === shard)?.state;
  };

  beforeEach(async () => {
    store = await fresh();
    catalog = store.client();
  });

  it('asks to tell every shard of first contact about every keyspace', async () => {
    const shards = [{ name: 'z', weight: 3 }, { name: 'a' }, { name: 'tiny', weight: 0.001 }];
    const { map, pending } = await catalog.open({ shards, keyspaces: spaces('default', 'audit') });
    expect(map.epoch).toBe(1);
    const both = (...ranges: [number, number][]) => [
      { name: 'audit', ranges },
      { name: 'default', ranges },
    ];
    expect(pending).toEqual([
      { shard: 'z', weight: 0, anchor: 'z', closed: [], keyspaces: both([0, 12284]) },
      { shard: 'a', weight: 0, anchor: 'z', closed: [], keyspaces: both([12285, 16379]) },
      { shard: 'tiny', weight: 0, anchor: 'z', closed: [], keyspaces: both([16380, 16383]) },
    ]);
    expect((await store.client().map())?.pending).toEqual(pending);
  });

  it('names all ranges of a shard, and also a keyspace of which it owns none', async () => {
    await catalog.open(request('a', 'b'));
    await store.query('update _shard_catalog_slots set lo = 9000 where lo = 8192');
    await store.query(`insert into _shard_catalog_slots values ('default', 8192, 8499, 'b')`);
    await store.query(`insert into _shard_catalog_slots values ('default', 8500, 8999, 'a')`);
    const { pending } = await catalog.open(request('a', 'b', 'c'));
    expect(pending.map(({ keyspaces }) => keyspaces)).toEqual([
      [
        {
          name: 'default',
          ranges: [
            [0, 8191],
            [8500, 8999],
          ],
        },
      ],
      [
        {
          name: 'default',
          ranges: [
            [8192, 8499],
            [9000, 16383],
          ],
        },
      ],
      [{ name: 'default', ranges: [] }],
    ]);
  });

  it('asks no more once all is confirmed, without an epoch', async () => {
    const opened = await catalog.open(request('a', 'b'));
    const confirmed = await catalog.confirm(told(opened.pending));
    expect(confirmed).toEqual({ map: opened.map, pending: [] });
    expect(confirmed.map.epoch).toBe(1);
    expect(await store.client().confirm(told(opened.pending))).toEqual(confirmed);
    expect(await store.client().open(request('a', 'b'))).toEqual(confirmed);
    expect(await catalog.map()).toEqual(confirmed);
  });

  it('goes on asking for what was not confirmed', async () => {
    const keyspaces = spaces('k1', 'k2');
    await catalog.open({ shards: named('a', 'b'), keyspaces });
    const { pending } = await catalog.confirm([
      { shard: 'a', keyspaces: ['k1', 'k2'] },
      { shard: 'b', keyspaces: ['k2', 'k2'] },
    ]);
    expect(told(pending)).toEqual([{ shard: 'b', keyspaces: ['k1'] }]);
    expect(pending[0]?.anchor).toBe('a');
  });

  it('ignores shards and keyspaces that it does not know', async () => {
    const opened = await catalog.open(request('a'));
    const unknown = [
      { shard: 'b', keyspaces: ['default'] },
      { shard: 'a', keyspaces: ['later', `it's`, ''] },
      { shard: '', keyspaces: [] },
    ];
    expect(await catalog.confirm(unknown)).toEqual(opened);
    // Nor does it remember them.
    const { pending } = await catalog.open({ shards: named('a', 'b'), keyspaces: spaces('default', 'later') });
    expect(told(pending)).toEqual([
      { shard: 'a', keyspaces: ['default', 'later'] },
      { shard: 'b', keyspaces: ['default', 'later'] },
    ]);
  });

  it('has nothing to confirm before first contact', async () => {
    await expect(catalog.confirm([])).rejects.toThrow('no cluster yet');
    expect(await catalog.map()).toBeUndefined();
  });

  it('asks every shard about a later keyspace, and leaves active ones active', async () => {
    const first = await catalog.open(request('a', 'b'));
    await catalog.confirm(told(first.pending));
    const { map, pending } = await catalog.open({ shards: named('a'), keyspaces: spaces('logs') });
    expect(pending).toEqual([
      { shard: 'a', weight: 0, anchor: 'a', closed: [], keyspaces: [{ name: 'logs', ranges: [[0, 8191]] }] },
      { shard: 'b', weight: 0, anchor: 'a', closed: [], keyspaces: [{ name: 'logs', ranges: [[8192, 16383]] }] },
    ]);
    expect(await catalog.confirm(told(pending))).toEqual({ map, pending: [] });
    expect(map.epoch).toBe(2);
  });

  it('makes a later shard active when it knows every keyspace, one epoch later', async () => {
    const keyspaces = spaces('k1', 'k2');
    const first = await catalog.open({ shards: named('a'), keyspaces });
    await catalog.confirm(told(first.pending));
    const opened = await catalog.open({ shards: named('a', 'b', 'c'), keyspaces });
    expect(told(opened.pending)).toEqual([
      { shard: 'b', keyspaces: ['k1', 'k2'] },
      { shard: 'c', keyspaces: ['k1', 'k2'] },
    ]);
    const half = await catalog.confirm([{ shard: 'b', keyspaces: ['k1'] }]);
    expect(half.map).toEqual(opened.map);
    // A keyspace that comes in between has to be told as well.
    await catalog.open({ shards: named('a'), keyspaces: spaces('k3') });
    expect((await catalog.confirm(told(half.pending))).map.epoch).toBe(3);
    expect(await stateOf('b')).toBe('adding');
    const { map, pending } = await catalog.confirm(['a', 'b', 'c'].map((shard) => ({ shard, keyspaces: ['k3'] })));
    expect(pending).toEqual([]);
    expect(map.epoch).toBe(4);
    expect(map.shards.map(({ state }) => state)).toEqual(['active', 'active', 'active']);
    // It owns nothing yet, but takes part in what comes now.
    expect(map.keyspaces.k3?.ranges).toHaveLength(1);
    const next = await catalog.open({ shards: named('a'), keyspaces: spaces('k4') });
    expect(next.map.keyspaces.k4?.ranges.map(({ shard }) => shard)).toEqual(['a', 'b', 'c']);
  });

  it('gives each later shard a weight for digests, always the same', async () => {
    await catalog.open(request('a', 'b'));
    const later = Array.from({ length: 50 }, (_, i) => `later-${i}`);
    const { pending } = await catalog.open(request('a', 'b', ...later));
    const weights = pending.filter(({ shard }) => later.includes(shard)).map(({ weight }) => weight);
    expect(new Set(weights).size).toBe(50);
    for (const weight of weights) {
      expect(Number.isSafeInteger(weight)).toBe(true);
      expect(weight).toBeGreaterThan(0);
      expect(weight).toBeLessThan(2 ** 52);
    }
    // Half of them at least 2^51: all 52 bits are in use.
    expect(Math.max(...weights)).toBeGreaterThan(2 ** 51);
    expect(pending.every(({ anchor }) => anchor === 'a')).toBe(true);
    await catalog.confirm(told(pending));
    const again = await catalog.open({ shards: named('b'), keyspaces: spaces('logs') });
    expect(again.pending.map(({ weight }) => weight)).toEqual([0, 0, ...weights]);
  });

  it('keeps a later shard waiting for the reference tables', async () => {
    const first = await catalog.open({ ...request('a'), referenceTables: true });
    expect(first.map.shards[0]?.state).toBe('active');
    await catalog.confirm(told(first.pending));
    const opened = await catalog.open({ ...request('a', 'b'), referenceTables: true });
    expect(await catalog.confirm(told(opened.pending))).toEqual({ map: opened.map, pending: [] });
    expect(opened.map.epoch).toBe(2);
    // It waits whatever others say later, and keeps nobody else waiting.
    const third = await catalog.open(request('a', 'b', 'c'));
    const { map } = await catalog.confirm(told(third.pending));
    expect(map.epoch).toBe(4);
    expect(map.shards.map(({ state }) => state)).toEqual(['active', 'adding', 'active']);
    expect(await store.query('select name from _shard_catalog_shards where awaits_reference = 1')).toEqual([
      { name: 'b' },
    ]);
  });

  it('tells draining shards of what is new, and retired ones of nothing', async () => {
    await catalog.open(request('a', 'b', 'c'));
    await store.query("update _shard_catalog_shards set state = 'draining' where name = 'b'");
    await store.query("update _shard_catalog_shards set state = 'retired' where name = 'a'");
    const view = await catalog.map();
    expect(view?.pending.map(({ shard, anchor }) => [shard, anchor])).toEqual([
      ['b', 'b'],
      ['c', 'b'],
    ]);
    const { map } = await catalog.confirm(['a', 'b', 'c'].map((shard) => ({ shard, keyspaces: ['default'] })));
    expect(map.shards.map(({ state }) => state)).toEqual(['retired', 'draining', 'active']);
    expect(map.epoch).toBe(1);
  });

  it('lets 20 callers confirm at once, and counts one epoch', async () => {
    await catalog.open(request('a'));
    const { pending } = await catalog.open(request('a', 'b', 'c'));
    const views = await Promise.all(Array.from({ length: 20 }, () => store.client().confirm(told(pending))));
    expect(new Set(views.map((view) => JSON.stringify(view))).size).toBe(1);
    expect(views[0]?.map.epoch).toBe(3);
    expect(views[0]?.pending).toEqual([]);
  });

  it('takes names that mean something to JSON, SQL or JavaScript', async () => {
    const names = ['1', '1.0', 'null', `it's "so"`, '__proto__', 'é\n', '$.a', '[1]'];
    const { pending } = await catalog.open({ shards: named(...names), keyspaces: spaces(...names) });
    expect(pending.map(({ shard }) => shard)).toEqual(names);
    for (const { keyspaces } of pending) {
      expect(keyspaces.map(({ name }) => name).sort()).toEqual([...names].sort());
      for (const { ranges } of keyspaces) expect(ranges).toHaveLength(1);
    }
    expect((await catalog.confirm(told(pending))).pending).toEqual([]);
  });
});
