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
    const view = await catalog.open({
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
    expect(view.map).toEqual({
      cluster: expect.stringMatching(/^[0-9a-f]{32}$/),
      epoch: 1,
      base: 0,
      shards: [
        { name: 'west', region: 'wnam', weight: 1, state: 'active' },
        { name: 'east', weight: 3, state: 'active' },
      ],
      keyspaces: {
        default: { strategy: 'hash', directory: false, ranges },
        logs: { strategy: 'round-robin', directory: true, ranges },
      },
    });
    expect(JSON.parse(JSON.stringify(view))).toStrictEqual(view);
  });

  it('has no map before first contact, and then the one that open gave', async () => {
    expect(await catalog.map()).toBeUndefined();
    const view = await catalog.open(request('a', 'b'));
    expect(await store.client().map()).toEqual(view);
  });

  it('gives each cluster an id of its own', async () => {
    const { map } = await catalog.open(request('a'));
    const other = await (await fresh()).client().open(request('a'));
    expect(other.map.cluster).not.toBe(map.cluster);
  });

  it('changes nothing when asked again, in whatever order and with whatever else of what it knows', async () => {
    const shards = [{ name: 'a', region: 'weur' }, { name: 'b', weight: 1 / 3 }, { name: 'c' }];
    const view = await catalog.open({ shards, keyspaces: [hash] });
    expect(view.map.epoch).toBe(1);
    expect(await catalog.open({ shards, keyspaces: [hash] })).toEqual(view);
    expect(await store.client().open({ shards: [...shards].reverse(), keyspaces: [hash] })).toEqual(view);
    // What is left out is no change either.
    expect(await catalog.open({ shards: named('b'), keyspaces: [] })).toEqual(view);
    expect(await catalog.open({ shards: named('c', 'a'), keyspaces: [hash], referenceTables: true })).toEqual(view);
  });

  it('lets 20 first contacts at once agree on one cluster', async () => {
    const names = ['a', 'b', 'c'];
    const views = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        // Each with its shards in another order: one order must win everywhere.
        store.client().open(request(...names.slice(i % 3), ...names.slice(0, i % 3))),
      ),
    );
    expect(new Set(views.map((view) => JSON.stringify(view))).size).toBe(1);
    expect(views[0]?.map.epoch).toBe(1);
    expect(await catalog.map()).toEqual(views[0]);
  });

  it('registers what 20 callers bring at once, each with an epoch of its own', async () => {
    const views = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        store
          .client()
          .open({ shards: named('a', `shard-${i}`), keyspaces: [{ name: `space-${i}`, strategy: 'hash' }] }),
      ),
    );
    const epochs = views.map(({ map }) => map.epoch).sort((a, b) => a - b);
    expect(epochs).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    for (const [i, { map, pending }] of views.entries()) {
      const state = map.epoch === 1 ? 'active' : 'adding';
      expect(map.shards).toContainEqual(expect.objectContaining({ name: `shard-${i}`, weight: 1, state }));
      // The two shards of whoever was first.
      expect(map.keyspaces[`space-${i}`]?.ranges).toHaveLength(2);
      expect(pending).toHaveLength(map.epoch + 1);
      for (const { keyspaces } of pending) expect(keyspaces).toHaveLength(map.epoch);
    }
    expect((await catalog.map())?.map.shards).toHaveLength(21);
  });

  it('registers a later shard as one that is being added, without slots', async () => {
    const { map: before } = await catalog.open(request('b', 'c'));
    const { map: after } = await catalog.open(request('a', 'b', 'c'));
    expect(after).toEqual({
      ...before,
      epoch: 2,
      shards: [...before.shards, { name: 'a', weight: 1, state: 'adding', joinWeight: expect.any(Number) }],
    });
  });

  it('takes over another region and weight of a known shard', async () => {
    const { map: before } = await catalog.open(request('a', 'b', 'c'));
    const shards = [{ name: 'c', region: 'apac', weight: 0.1 }, { name: 'a', region: 'weur' }, { name: 'b' }];
    const { map: after } = await catalog.open({ shards, keyspaces: [hash] });
    expect(after).toEqual({
      ...before,
      epoch: 2,
      shards: [
        { name: 'a', region: 'weur', weight: 1, state: 'active' },
        { name: 'b', weight: 1, state: 'active' },
        { name: 'c', region: 'apac', weight: 0.1, state: 'active' },
      ],
    });
    expect((await catalog.open({ shards, keyspaces: [hash] })).map).toEqual(after);
    expect((await catalog.open(request('a', 'b', 'c'))).map).toEqual(after);
    const { map: moved } = await catalog.open({ shards: [{ name: 'c', region: 'oc' }], keyspaces: [] });
    expect(moved.epoch).toBe(3);
    expect(moved.shards[2]).toEqual({ name: 'c', region: 'oc', weight: 0.1, state: 'active' });
  });

  it('counts all changes of one request as one epoch, and spreads by the weights that it brings', async () => {
    await catalog.open(request('a', 'b'));
    const logs = { name: 'logs', strategy: 'random' };
    const shards = [{ name: 'a', weight: 3 }, { name: 'b', region: 'weur' }, { name: 'c' }];
    const { map } = await catalog.open({ shards, keyspaces: [{ ...hash, strategy: 'location' }, logs] });
    expect(map.epoch).toBe(2);
    expect(map.keyspaces.logs?.ranges).toEqual([
      { lo: 0, hi: 12287, shard: 'a' },
      { lo: 12288, hi: 16383, shard: 'b' },
    ]);
  });

  it.each(['adding', 'draining', 'retired'])('never changes the state %s', async (state) => {
    await catalog.open(request('a', 'b'));
    await store.query(`update _shard_catalog_shards set state = '${state}' where name = 'b'`);
    const { map } = await catalog.open({ shards: [{ name: 'b', region: 'weur', weight: 2 }], keyspaces: [hash] });
    expect(map.shards[1]).toEqual({ name: 'b', region: 'weur', weight: 2, state });
  });

  it('remembers that a keyspace once had another strategy than hash', async () => {
    const register = async (strategy: string) => {
      const { map } = await catalog.open({ shards: named('a'), keyspaces: [{ name: 'default', strategy }] });
      const { ranges, ...rest } = map.keyspaces.default ?? {};
      expect(ranges).toEqual([{ lo: 0, hi: 16383, shard: 'a' }]);
      return { epoch: map.epoch, ...rest };
    };
    expect(await register('hash')).toEqual({ epoch: 1, strategy: 'hash', directory: false });
    expect(await register('random')).toEqual({ epoch: 2, strategy: 'random', directory: true });
    expect(await register('random')).toEqual({ epoch: 2, strategy: 'random', directory: true });
    expect(await register('location')).toEqual({ epoch: 3, strategy: 'location', directory: true });
    expect(await register('hash')).toEqual({ epoch: 4, strategy: 'hash', directory: true });
    expect(await register('hash')).toEqual({ epoch: 4, strategy: 'hash', directory: true });
  });

  it('spreads a later keyspace over all shards that are active then', async () => {
    const { map: before } = await catalog.open(request('a', 'b', 'c', 'd'));
    await store.query("update _shard_catalog_shards set state = 'draining' where name = 'b'");
    await store.query("update _shard_catalog_shards set state = 'adding' where name = 'c'");
    // `d` is not in this request and is active all the same; `e` is new.
    const logs = { name: 'logs', strategy: 'location' };
    const { map: after } = await catalog.open({ shards: named('a', 'e'), keyspaces: [hash, logs] });
    expect(after.epoch).toBe(2);
    expect(after.keyspaces.default).toEqual(before.keyspaces.default);
    expect(after.keyspaces.logs).toEqual({
      strategy: 'location',
      directory: true,
      ranges: [
        { lo: 0, hi: 8191, shard: 'a' },
        { lo: 8192, hi: 16383, shard: 'd' },
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
    const { map } = await catalog.open({ shards: names.map((name) => ({ name, region: name })), keyspaces });
    expect(map.shards.map(({ name }) => name)).toEqual(names);
    expect(map.shards.map(({ region }) => region)).toEqual(names);
    expect(Object.keys(map.keyspaces).sort()).toEqual([...names].sort());
    expect(map.keyspaces['1.0']?.strategy).toBe('1.0');
    expect(map.keyspaces.null?.ranges.map(({ shard }) => shard)).toEqual(names);
    expect((await catalog.open({ shards: named(...names), keyspaces })).map.epoch).toBe(1);
  });
});
