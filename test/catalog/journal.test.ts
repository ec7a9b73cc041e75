import { beforeEach, describe, expect, it } from 'vitest';
import type { Catalog } from '../../src/catalog/catalog';
import type { Journaled, Move, MoveRequest } from '../../src/catalog/journal';
import { type Store, stores } from './stores';

describe.each(stores)('the journal in a %s', (_name, make) => {
  let store: Store;
  let catalog: Catalog;
  beforeEach(async () => {
    store = await make();
    catalog = store.client();
    await catalog.open({
      shards: [{ name: 'a' }, { name: 'b' }, { name: 'c' }],
      keyspaces: [{ name: 'default', strategy: 'hash' }],
    });
  });

  const slots = (lo: number, hi: number, to: string): MoveRequest => ({
    request: crypto.randomUUID(),
    job: 1,
    kind: 'slots',
    keyspace: 'default',
    lo,
    hi,
    to,
  });
  const key = (text: string, slot: number, to: string): MoveRequest => ({
    ...slots(slot, slot, to),
    kind: 'keys',
    key: text,
  });
  const moveOf = (answer: Journaled): Move => {
    if ('move' in answer) return answer.move;
    throw new Error(`refused: ${answer.refused}`);
  };
  const journal = async (request: MoveRequest) => moveOf(await catalog.journal(request));
  const ranges = async () =>
    ((await catalog.map())?.map.keyspaces.default?.ranges ?? []).map(({ lo, hi, shard }) => [lo, hi, shard]);

  it('gives the same move for the same request, and never an id twice', async () => {
    const request = slots(1, 5, 'b');
    const move = await journal(request);
    expect(move).toMatchObject({ from: 'a', home: 'a', to: 'b', state: 'open', kind: 'slots', key: null });
    expect(await journal(request)).toEqual(move);
    await catalog.abort(move.id, 'why not');
    expect(await journal(request)).toMatchObject({ id: move.id, state: 'aborted', error: 'why not' });
    await store.query('delete from _shard_catalog_moves');
    expect((await journal(slots(1, 5, 'b'))).id).toBeGreaterThan(move.id);
  });

  it('locks the slots of a move, also against a key in them', async () => {
    const move = await journal(slots(100, 200, 'b'));
    for (const request of [slots(200, 300, 'c'), slots(0, 100, 'c'), slots(150, 160, 'b'), key('k', 150, 'c')]) {
      expect(await catalog.journal(request)).toMatchObject({ refused: 'locked', by: { id: move.id } });
    }
    const other = await journal(key('k', 201, 'c'));
    expect(other).toMatchObject({ from: null, home: 'a', key: 'k', lo: 201, hi: 201 });
    expect(await catalog.floor()).toBe(move.id);
    await catalog.close(move.id);
    expect(await catalog.floor()).toBe(other.id);
    await journal(slots(100, 200, 'c'));
  });

  it('gives the slots of a closed move to its target, and joins neighbours', async () => {
    const before = await ranges();
    const epoch = async () => (await catalog.map())?.map.epoch ?? 0;
    const first = await epoch();
    const there = await journal(slots(100, 200, 'c'));
    await catalog.close(there.id);
    expect(await ranges()).toEqual([[0, 99, 'a'], [100, 200, 'c'], [201, 5461, 'a'], ...before.slice(1)]);
    expect(await epoch()).toBe(first + 1);
    await catalog.close(there.id);
    expect(await epoch()).toBe(first + 1);
    const back = await journal(slots(100, 200, 'a'));
    expect(back.from).toBe('c');
    const { map } = await catalog.close(back.id);
    expect(map.keyspaces.default?.ranges.map(({ lo, hi, shard }) => [lo, hi, shard])).toEqual(before);
    const aborted = await journal(slots(0, 10, 'c'));
    await catalog.abort(aborted.id, 'no');
    await catalog.close(aborted.id);
    expect(await ranges()).toEqual(before);
    expect(await catalog.move(aborted.id)).toMatchObject({ state: 'aborted', error: 'no' });
  });

  it('refuses slots of several shards, of the target itself, and targets that are not active', async () => {
    expect(await catalog.journal(slots(5000, 6000, 'c'))).toEqual({ refused: 'split' });
    expect(await catalog.journal(slots(0, 10, 'a'))).toEqual({ refused: 'same' });
    expect(await catalog.journal(slots(0, 10, 'x'))).toEqual({ refused: 'target' });
    await catalog.setDraining('c', true);
    expect(await catalog.journal(slots(0, 10, 'c'))).toEqual({ refused: 'target', state: 'draining' });
    expect(await catalog.journal(key('k', 3, 'c'))).toEqual({ refused: 'target', state: 'draining' });
  });

  it('is held off by a migration, which waits for open moves', async () => {
    const move = await journal(slots(0, 10, 'b'));
    expect(await catalog.holdAlone('migrate', 60)).toMatchObject({ moves: [{ id: move.id }] });
    await journal(slots(20, 30, 'b'));
    for (const { id } of await catalog.moves(0)) await catalog.abort(id, 'no');
    expect(await catalog.holdAlone('migrate', 60)).toEqual({ moves: [], heldBy: null });
    expect(await catalog.journal(slots(0, 10, 'b'))).toEqual({ refused: 'held', by: 'migrate' });
    await catalog.releaseMoves('migrate');
    await journal(slots(0, 10, 'b'));
  });

  it('is held off by one alone, who says it again to go on', async () => {
    const move = await journal(slots(0, 10, 'b'));
    expect(await catalog.holdAlone('one', 60)).toMatchObject({ moves: [{ id: move.id }], heldBy: null });
    await catalog.abort(move.id, 'no');
    expect(await catalog.holdAlone('one', 60)).toEqual({ moves: [], heldBy: null });
    expect(await catalog.holdAlone('two', 60)).toEqual({ moves: [], heldBy: 'one' });
    expect(await catalog.journal(slots(0, 10, 'b'))).toEqual({ refused: 'held', by: 'one' });
    expect(await catalog.holdAlone('one', -1)).toEqual({ moves: [], heldBy: null });
    expect(await catalog.holdAlone('two', 60)).toEqual({ moves: [], heldBy: null });
    expect(await catalog.holdAlone('one', 60)).toEqual({ moves: [], heldBy: 'two' });
  });

  it('holds moves off for as long as was said', async () => {
    await catalog.holdAlone('migrate', -1);
    await journal(slots(0, 10, 'b'));
  });

  it('learns the source of a key once', async () => {
    const { id } = await journal(key('k', 7, 'c'));
    expect(await catalog.source(id, 'b')).toMatchObject({ from: 'b' });
    expect(await catalog.source(id, 'a')).toMatchObject({ from: 'b' });
  });

  it('notes how far a move is, while it is open', async () => {
    const { id } = await journal(slots(0, 10, 'b'));
    await catalog.progress(id, { phase: 'land', rows: 5, bytes: 100 });
    await catalog.progress(id, { error: 'lost' });
    expect(await catalog.moves(0)).toMatchObject([{ id, phase: 'land', rows: 5, bytes: 100, error: 'lost' }]);
    await catalog.close(id);
    await catalog.progress(id, { phase: 'open' });
    expect(await catalog.moves(1)).toMatchObject([{ id, phase: 'close', rows: 5, state: 'done', error: null }]);
    expect(await catalog.moves(0)).toEqual([]);
  });

  it('lets one driver at a time work on a job', async () => {
    const job = await catalog.startJob({
      request: 'r',
      kind: 'slots',
      spec: '{}',
      steps: [{ do: 'retire', shard: 'a' }],
      options: { rowsPerMove: 1, rowsPerSecond: 2, frozenMs: 3 },
      totalRows: 9,
    });
    expect(job).toMatchObject({ state: 'running', at: 0, steps: [{ do: 'retire', shard: 'a' }], totalRows: 9 });
    expect(await catalog.leaseJob(job.id, 'me', 60)).toBe(true);
    expect(await catalog.leaseJob(job.id, 'you', 60)).toBe(false);
    expect(await catalog.leaseJob(job.id, 'me', -1)).toBe(true);
    expect(await catalog.leaseJob(job.id, 'you', 60)).toBe(true);
    expect(await catalog.advanceJob(job.id, { cursor: 5, rows: 10, moves: 1, error: 'e' })).toMatchObject({
      at: 0,
      cursor: 5,
      rows: 10,
      moves: 1,
      error: 'e',
    });
    expect(await catalog.advanceJob(job.id, { at: 1, cursor: 0, rows: 10 })).toMatchObject({ rows: 20, error: 'e' });
    expect(await catalog.advanceJob(job.id, { state: 'done', error: null })).toMatchObject({
      state: 'done',
      error: null,
      finished: expect.any(Number),
    });
    expect(await catalog.advanceJob(job.id, { state: 'running' })).toMatchObject({ state: 'done' });
    expect(await catalog.jobs(0)).toEqual([]);
    expect(await catalog.jobs(1)).toMatchObject([{ id: job.id }]);
  });

  it('retires a shard once it is drained and empty, and takes its digest along', async () => {
    const job = await catalog.startJob({
      request: 'drain',
      kind: 'drain',
      spec: '{}',
      steps: [],
      options: { rowsPerMove: 1, rowsPerSecond: 1, frozenMs: 1 },
      totalRows: 0,
    });
    await catalog.confirm(['a', 'b', 'c'].map((shard) => ({ shard, keyspaces: ['default'] })));
    const retired = async (id = job.id) => (await catalog.retire('c', 5, id)).map.base === 5;
    expect(await retired()).toBe(false);
    await catalog.setDraining('c', true);
    expect(await retired()).toBe(false);
    for (const [lo, hi, shard] of await ranges())
      if (shard === 'c') await catalog.close((await journal(slots(lo as number, hi as number, 'a'))).id);
    expect(await retired(99)).toBe(false);
    await catalog.open({ shards: [{ name: 'd' }], keyspaces: [{ name: 'default', strategy: 'hash' }] });
    expect(await retired()).toBe(false);
    const { pending } = await catalog.open({ shards: [{ name: 'd' }], keyspaces: [] });
    expect(pending).toMatchObject([{ shard: 'd', anchor: 'a', closed: ['c'] }]);
    await catalog.confirm([{ shard: 'd', keyspaces: ['default'] }]);
    const open = await journal(slots(0, 10, 'b'));
    expect(await retired()).toBe(true);
    expect(await retired()).toBe(true);
    expect((await catalog.map())?.map.shards.map(({ state }) => state)).toEqual([
      'active',
      'active',
      'retired',
      'active',
    ]);
    await catalog.close(open.id);
  });

  it('journals a move only from the shard that was named', async () => {
    expect(await catalog.journal({ ...slots(0, 10, 'b'), from: 'c' })).toEqual({ refused: 'owner' });
    await journal({ ...slots(0, 10, 'b'), from: 'a' });
  });
});
