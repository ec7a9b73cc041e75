import { beforeEach, describe, expect, it } from 'vitest';
import type { Catalog, OpenRequest } from '../../src/catalog/catalog';
import { ConfigError } from '../../src/errors';
import { type Store, stores } from './stores';

const hash = { name: 'default', strategy: 'hash' };
const named = (...names: string[]) => names.map((name) => ({ name }));
const request = (...names: string[]): OpenRequest => ({ shards: named(...names), keyspaces: [hash] });

describe.each(stores)('the catalog in a %s', (_name, fresh) => {
  let store: Store;
  let catalog: Catalog;

  beforeEach(async () => {
    store = await fresh();
    catalog = store.client();
  });

  it('makes the cluster at first contact', async () => {
    const map = await catalog.open({
      shards: [
        { name: 'west', region: 'wnam' },
        { name: 'east', weight: 3 },
      ],
      keyspaces: [hash, { name: 'logs', strategy: 'round-robin' }],
    });
    const ranges = [
      { lo: 0, hi: 4095, shard: 'west' },
      { lo: 4096, hi: 16383, shard: 'east' },
    ];
    expect(map).toEqual({
      cluster: expect.stringMatching(/^[0-9a-f]{32}$/),
      epoch: 1,
      base: 0,
      shards: [
        { name: 'west', region: 'wnam', weight: 1, state: 'active' },
        { name: 'east', weight: 3, state: 'active' },
      ],
      keyspaces: { default: { strategy: 'hash', ranges }, logs: { strategy: 'round-robin', ranges } },
    });
    expect(JSON.parse(JSON.stringify(map))).toStrictEqual(map);
  });

  it('has no map before first contact, and then the one that open gave', async () => {
    expect(await catalog.map()).toBeUndefined();
    const map = await catalog.open(request('a', 'b'));
    expect(await store.client().map()).toEqual(map);
  });

  it('gives each cluster an id of its own', async () => {
    const { cluster } = await catalog.open(request('a'));
    const other = await (await fresh()).client().open(request('a'));
    expect(other.cluster).not.toBe(cluster);
  });

  it('changes nothing when asked again, in whatever order and with whatever else of what it knows', async () => {
    const map = await catalog.open(request('a', 'b'));
    expect(await catalog.open(request('a', 'b'))).toEqual(map);
    const again: OpenRequest = {
      shards: [
        { name: 'b', weight: 9 },
        { name: 'a', region: 'weur' },
      ],
      keyspaces: [{ name: 'default', strategy: 'random' }],
    };
    expect(await store.client().open(again)).toEqual(map);
    expect(await catalog.open({ shards: named('b'), keyspaces: [] })).toEqual(map);
  });

  it('lets 20 first contacts at once agree on one cluster', async () => {
    const names = ['a', 'b', 'c'];
    const maps = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        // Each with its shards in another order: one order must win everywhere.
        store.client().open(request(...names.slice(i % 3), ...names.slice(0, i % 3))),
      ),
    );
    expect(new Set(maps.map((map) => JSON.stringify(map))).size).toBe(1);
    expect(maps[0]?.epoch).toBe(1);
    expect(await catalog.map()).toEqual(maps[0]);
  });

  it('registers what 20 callers bring at once, each with an epoch of its own', async () => {
    const maps = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        store
          .client()
          .open({ shards: named('a', `shard-${i}`), keyspaces: [{ name: `space-${i}`, strategy: 'hash' }] }),
      ),
    );
    expect(maps.map(({ epoch }) => epoch).sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    for (const [i, map] of maps.entries()) {
      expect(map.shards).toContainEqual({ name: `shard-${i}`, weight: 1, state: 'active' });
      // A keyspace covers the shards that were there when it came: one more with each epoch, and `a`.
      expect(map.keyspaces[`space-${i}`]?.ranges).toHaveLength(map.epoch + 1);
    }
    expect((await catalog.map())?.shards).toHaveLength(21);
  });

  it('registers a later shard as active, without slots', async () => {
    const before = await catalog.open(request('b', 'c'));
    const after = await catalog.open(request('a', 'b', 'c'));
    expect(after).toEqual({
      ...before,
      epoch: 2,
      shards: [...before.shards, { name: 'a', weight: 1, state: 'active' }],
    });
  });

  it('spreads a later keyspace over all shards that are active then', async () => {
    const before = await catalog.open(request('a', 'b', 'c', 'd'));
    await store.query("update _shard_catalog_shards set state = 'draining' where name = 'b'");
    await store.query("update _shard_catalog_shards set state = 'adding' where name = 'c'");
    // `d` is not in this request and is active all the same; `e` is new.
    const logs = { name: 'logs', strategy: 'location' };
    const after = await catalog.open({ shards: named('a', 'e'), keyspaces: [hash, logs] });
    expect(after.epoch).toBe(2);
    expect(after.keyspaces.default).toEqual(before.keyspaces.default);
    expect(after.keyspaces.logs).toEqual({
      strategy: 'location',
      ranges: [
        { lo: 0, hi: 5461, shard: 'a' },
        { lo: 5462, hi: 10922, shard: 'd' },
        { lo: 10923, hi: 16383, shard: 'e' },
      ],
    });
  });

  it('refuses a keyspace that no active shard can take, and keeps nothing of the request', async () => {
    await catalog.open(request('a'));
    await store.query("update _shard_catalog_shards set state = 'retired'");
    const before = await catalog.map();
    const late = catalog.open({ shards: named('a'), keyspaces: [{ name: 'late', strategy: 'hash' }] });
    await expect(late).rejects.toThrow('SHARD_NO_ACTIVE_SHARD for the new keyspace late');
    expect(await catalog.map()).toEqual(before);
  });

  it.each<[string, OpenRequest]>([
    ['needs at least one shard', { shards: [], keyspaces: [hash] }],
    ['shard a is named twice', request('a', 'b', 'a')],
    ['keyspace default is named twice', { shards: named('a'), keyspaces: [hash, hash] }],
    ['empty name', request('a', '')],
    ['weight of shard a is 0', { shards: [{ name: 'a', weight: 0 }], keyspaces: [] }],
    ['weight of shard a is NaN', { shards: [{ name: 'a', weight: Number.NaN }], keyspaces: [] }],
    ['weight of shard a is 100001', { shards: [{ name: 'a', weight: 100_001 }], keyspaces: [] }],
  ])('refuses a request: %s', async (message, wrong) => {
    const opened = catalog.open(wrong);
    await expect(opened).rejects.toThrow(message);
    await expect(opened).rejects.toBeInstanceOf(ConfigError);
    expect(await catalog.map()).toBeUndefined();
  });

  it('takes names that mean something to JSON, SQL or JavaScript', async () => {
    const names = ['1', '1.0', 'null', `it's "so"`, '__proto__', 'é\n', '$.a'];
    const keyspaces = names.map((name) => ({ name, strategy: name }));
    const map = await catalog.open({ shards: names.map((name) => ({ name, region: name })), keyspaces });
    expect(map.shards.map(({ name }) => name)).toEqual(names);
    expect(map.shards.map(({ region }) => region)).toEqual(names);
    expect(Object.keys(map.keyspaces).sort()).toEqual([...names].sort());
    expect(map.keyspaces['1.0']?.strategy).toBe('1.0');
    expect(map.keyspaces.null?.ranges.map(({ shard }) => shard)).toEqual(names);
    expect((await catalog.open({ shards: named(...names), keyspaces })).epoch).toBe(1);
  });

  it('never uses the id of a move again, nor takes a request twice', async () => {
    await catalog.open(request('a', 'b'));
    const journal = (id: string) =>
      store.query(`insert into _shard_catalog_moves (request, keyspace, lo, hi, "to", weight)
        values ('${id}', 'default', 1, 1, 'b', 7) on conflict (request) do nothing returning id, state`);
    expect(await journal('first')).toEqual([{ id: 1, state: 'open' }]);
    expect(await journal('second')).toEqual([{ id: 2, state: 'open' }]);
    expect(await journal('second')).toEqual([]);
    await store.query('delete from _shard_catalog_moves where id = 2');
    const [third] = await journal('third');
    // A refused request may use up an id.
    expect(third?.id).toBeGreaterThan(2);
  });
});
