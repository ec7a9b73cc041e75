import { sql } from 'drizzle-orm';
import { describe, expect, it } from 'vitest';
import type { ShardedConfig } from '../../src';
import { everything, KEY, loaded, on, refusalOf, rowsOn, watched } from './cargo-fixture';

const tables = { notes: { key: 'k' } };
const NOTES = 'create table notes (id integer primary key, k text not null, body text)';
const note = (id: number, body = `'hello'`) => `insert into notes values (${id}, '${KEY}', ${body})`;

interface Refusal {
  readonly ddl?: readonly string[];
  readonly tables?: ShardedConfig['tables'];
  /** On s0, where the key lives. */
  readonly source?: readonly string[];
  /** On s1, where it is to go. */
  readonly target?: readonly string[];
  readonly message: string;
  readonly about: readonly string[];
  /** Refused before a write had to wait: the tables alone tell. */
  readonly unfrozen?: true;
}

const REFUSALS: Readonly<Record<string, Refusal>> = {
  'a table that the target lacks': {
    target: ['drop table notes'],
    message: 'The target has no table notes.',
    about: ['notes'],
    unfrozen: true,
  },
  'a column of another type': {
    target: ['drop table notes', NOTES.replace('body text', 'body blob')],
    message: 'The columns of notes are not the same on both shards',
    about: ['notes'],
    unfrozen: true,
  },
  'a column more on the target': {
    target: ['alter table notes add column more'],
    message: 'The columns of notes are not the same on both shards',
    about: ['notes'],
    unfrozen: true,
  },
  'a table without a shard key that has rows': {
    ddl: [NOTES, 'create table grants (a text, b text, primary key (a, b))'],
    source: [`insert into grants values ('a', 'b')`],
    message:
      "grants has rows and no shard key: which of them belong to the move cannot be told. Write tables: { grants: { key: '<column>' } }",
    about: ['grants'],
    unfrozen: true,
  },
  'text that is no UTF-8': {
    source: [note(2, `cast(x'ff41' as text)`)],
    message: 'A row of notes holds text that is no UTF-8 and would change on the way. Store it as a blob.',
    about: ['notes'],
  },
  'text that ends within a character': {
    source: [note(2, `cast(x'41f09f98' as text)`)],
    message: 'A row of notes holds text that is no UTF-8',
    about: ['notes'],
  },
  'text with half a surrogate pair': {
    source: [note(2, `cast(x'41eda08042' as text)`)],
    message: 'A row of notes holds text that is no UTF-8',
    about: ['notes'],
  },
  'text that is no UTF-8 beside text that only looks so': {
    source: [note(2, 'char(65533)'), note(3, `cast(x'c0af' as text)`)],
    message: 'A row of notes holds text that is no UTF-8',
    about: ['notes'],
  },
  'a CHECK that only the target has': {
    target: ['drop table notes', NOTES.replace('body text', `body text check (body <> 'hello')`)],
    message: `s1 does not take a row: CHECK constraint failed: body <> 'hello'.`,
    about: [],
  },
  'rows of the key on the target': {
    target: [note(9)],
    message:
      'The rows of notes changed while they were frozen, or s1 has rows with these keys already: something writes past the router',
    about: ['notes'],
  },
};

describe('a move that is refused changes nothing', () => {
  it.each(Object.entries(REFUSALS))('%s', async (_what, refusal) => {
    const { db, fleet } = await loaded(refusal.ddl ?? [NOTES], { tables: refusal.tables ?? tables, moveTimeout: 200 });
    await on('s0', note(1), ...(refusal.source ?? []));
    await on('s1', ...(refusal.target ?? []));
    const before = await everything();
    let frozen = 0;
    const mover = watched(
      fleet,
      async (shard, { statements }) => {
        if (shard === 's0' && statements.some((one) => one.sql.includes('into _shard_move_keys'))) frozen++;
      },
      { tables, moveTimeout: 200 },
    );
    for (const move of [() => mover.$cluster.reassign(KEY, 's1'), () => db.$cluster.reassign(KEY, 's1')]) {
      const error = await refusalOf(move());
      expect(error).toMatchObject({ code: 'MOVE_REFUSED', tables: refusal.about });
      expect(error.message).toContain(refusal.message);
      expect(await everything()).toEqual(before);
    }
    expect(frozen > 0).toBe(!refusal.unfrozen);
    await db.run(sql`update notes set body = 'written at once' where k = ${KEY}`);
    expect(await rowsOn('s0', 'select body from notes where id = 1')).toEqual([['written at once']]);
    // Once the cause is gone, it moves.
    expect(await fleet.catalog("select id from _shard_catalog_jobs where state = 'running'")).toEqual([]);
  });

  it('a shard that the cluster does not have', async () => {
    const { db } = await loaded([NOTES], { tables, moveTimeout: 200 });
    await on('s0', note(1));
    const before = await everything();
    const error = await refusalOf(db.$cluster.reassign(KEY, 's9'));
    expect(error).toMatchObject({ code: 'MOVE_REFUSED', shard: 's9' });
    expect(error.message).toContain('The cluster has no shard s9.');
    expect(await everything()).toEqual(before);
    await db.run(sql`update notes set body = 'written at once' where k = ${KEY}`);
  });

  it.each([1.5, Number.NaN, 2 ** 53])('%d, which is no key', async (key) => {
    const { db } = await loaded([NOTES], { tables });
    const error = await refusalOf(db.$cluster.reassign(key, 's1'));
    expect(error).toMatchObject({ code: 'CONFIG' });
    expect(error.message).toContain('cannot be a shard key. Give a text or a whole number.');
  });

  it.each([
    [-1, 5],
    [5, 4],
    [0, 16384],
    [0.5, 3],
  ])('slots %d to %d, which there are not', async (lo, hi) => {
    const { db } = await loaded([NOTES], { tables });
    const error = await refusalOf(db.$cluster.moveSlots({ lo, hi }, 's1'));
    expect(error).toMatchObject({ code: 'CONFIG' });
    expect(error.message).toContain('are no slots');
  });
});

describe('what does not hinder a move', () => {
  it('a table without a shard key that is empty, and one that only the source has', async () => {
    const { db } = await loaded([NOTES, 'create table grants (a text, b text, primary key (a, b))'], { tables });
    await on('s0', note(1), 'create table scratch (x)');
    await on('s1', `insert into grants values ('a', 'b')`);
    expect(await db.$cluster.reassign(KEY, 's1')).toMatchObject({ rows: 1 });
  });

  it('another order of declarations that do not touch values', async () => {
    const { db } = await loaded([NOTES], { tables });
    await on('s0', note(1));
    await on(
      's1',
      'drop table notes',
      NOTES.replace('integer primary key', 'INTEGER primary key').replace('text not null', `TEXT not null default ''`),
    );
    expect(await db.$cluster.reassign(KEY, 's1')).toMatchObject({ rows: 1 });
  });
});
