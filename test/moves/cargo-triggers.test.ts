import { sql } from 'drizzle-orm';
import { describe, expect, it } from 'vitest';
import type { ShardedConfig } from '../../src';
import { everything, KEY, loaded, on, refusalOf, rowsOn, type ShardName } from './cargo-fixture';

const tables = { notes: { key: 'k' }, log: { replicated: true as const } };
const TABLES = [
  'create table notes (id integer primary key, k text not null, body text)',
  'create table log (what text)',
];
const with_ = (moveTriggers?: NonNullable<ShardedConfig['moveTriggers']>) => ({
  tables,
  moveTimeout: 200,
  ...(moveTriggers ? { moveTriggers } : {}),
});
const fill = (db: ShardName) =>
  on(db, `insert into notes values (1, '${KEY}', 'red fox'), (2, '${KEY}', 'blue whale')`, 'delete from log');
const ids = async (name: ShardName) => (await rowsOn(name, 'select id from notes order by id')).flat();
const logged = async (name: ShardName) => (await rowsOn(name, 'select what from log order by rowid')).flat();

/** Triggers of one log, in all the ways in which one can be written; none that is not quoted is a keyword. */
const LOGS = [
  [`plain`, `create trigger plain after insert on notes begin insert into log values ('plain'); end`],
  [`before`, `create trigger before before insert on notes begin insert into log values ('before'); end`],
  [
    `after`,
    `create trigger if not exists after after delete on notes for each row when old.id > 0 begin insert into log values ('after'); end`,
  ],
  [`no timing`, `create trigger "no timing" insert on notes begin insert into log values ('no timing'); end`],
  [`if`, `create trigger "if" delete on "notes" begin insert into log values ('if'); end`],
  [
    `it's "so" ]`,
    `create trigger "it's ""so"" ]" before delete on notes begin insert into log values ('it''s "so"'); end`,
  ],
  [`delete`, `create trigger [delete] after insert on [notes] begin insert into log values ('delete'); end`],
  [`insert`, `create trigger 'insert' after delete on 'notes' begin insert into log values ('insert'); end`],
  [
    `instead`,
    `create trigger main.instead /* of */ after -- delete\n insert on notes begin insert into log values ('instead; of'); end`,
  ],
] as const;
const NAMES = LOGS.map(([name]) => name);
const SQL = LOGS.map(([, text]) => text);

describe("the user's triggers", () => {
  it.each(LOGS)('have to be answered for: %s', async (name, text) => {
    const { db } = await loaded(TABLES, with_());
    await fill('s0');
    for (const one of ['s0', 's1', 's2'] as const) await on(one, text);
    const before = await everything();
    const error = await refusalOf(db.$cluster.reassign(KEY, 's1'));
    expect(error).toMatchObject({ code: 'MOVE_REFUSED', tables: ['notes'] });
    expect(error.message).toContain(`The trigger ${name} on notes would run on the rows that are moved.`);
    expect(error.message).toContain(
      `moveTriggers: { ${name.startsWith('it') ? JSON.stringify(name) : `'${name}'`}: 'fire' }`,
    );
    expect(await everything()).toEqual(before);
    await db.run(sql`update notes set body = 'written at once' where k = ${KEY}`);
  });

  it('need no answer when only updates run them', async () => {
    const update = `create trigger u after update of body on notes begin insert into log values ('u'); end`;
    const { db } = await loaded([...TABLES, update], with_());
    await fill('s0');
    expect(await db.$cluster.reassign(KEY, 's1')).toMatchObject({ rows: 2 });
  });

  it.each([
    ['all', 'silent' as const],
    ['each', Object.fromEntries(NAMES.map((name) => [name, 'silent' as const]))],
  ])('do not run when they shall be silent, and are there afterwards: an answer for %s', async (_what, answer) => {
    const { db } = await loaded([...TABLES, ...SQL], with_(answer));
    await fill('s0');
    const before = await everything();
    await db.$cluster.reassign(KEY, 's1');
    expect(await logged('s0')).toEqual([]);
    expect(await logged('s1')).toEqual([]);
    const after = await everything();
    for (const name of ['s0', 's1', 's2']) expect(after[`${name} schema`]).toEqual(before[`${name} schema`]);
    // They run for everybody else.
    await on('s1', `delete from notes where id = 1`, `insert into notes values (1, '${KEY}', 'again')`);
    expect((await logged('s1')).sort()).toEqual(
      [...NAMES]
        .map((name) => ({ 'it\'s "so" ]': 'it\'s "so"', instead: 'instead; of' })[name as string] ?? name)
        .sort(),
    );
    await db.$cluster.moveSlots({ lo: 0, hi: 16383 }, 's2');
    expect(await logged('s2')).toEqual([]);
  });

  it('run when they shall fire', async () => {
    const { db } = await loaded(
      [...TABLES, ...SQL.slice(0, 3)],
      with_({ plain: 'fire', before: 'silent', after: 'fire' }),
    );
    await fill('s0');
    await db.$cluster.reassign(KEY, 's1');
    expect(await logged('s0')).toEqual(['after', 'after']);
    expect(await logged('s1')).toEqual(['plain', 'plain']);
  });

  it('are those of each shard: one that only the other has', async () => {
    const { db } = await loaded(TABLES, with_('silent'));
    await fill('s0');
    await on('s0', `create trigger leaving after delete on notes begin insert into log values ('left'); end`);
    await on('s1', `create trigger coming after insert on notes begin insert into log values ('came'); end`);
    const schema = (await everything())['s1 schema'];
    await db.$cluster.reassign(KEY, 's1');
    expect([await logged('s0'), await logged('s1')]).toEqual([[], []]);
    expect((await everything())['s1 schema']).toEqual(schema);
  });

  it('keep a full-text table in step on both sides', async () => {
    const fts = [
      'create virtual table search using fts5 (body, content = notes, content_rowid = id)',
      'create trigger search_insert after insert on notes begin insert into search (rowid, body) values (new.id, new.body); end',
      `create trigger search_delete after delete on notes begin
        insert into search (search, rowid, body) values ('delete', old.id, old.body); end`,
    ];
    const { db } = await loaded([...TABLES, ...fts], with_({ search_insert: 'fire', search_delete: 'fire' }));
    await fill('s0');
    await on('s0', `insert into notes values (3, 'stays', 'red hen')`);
    await on('s1', `insert into notes values (4, 'was there', 'red kite')`);
    const found = async (name: ShardName, word: string) =>
      (await rowsOn(name, `select rowid from search where search match '${word}' order by rowid`)).flat();
    for (const [to, from] of [
      ['s1', 's0'],
      ['s0', 's1'],
    ] as const) {
      await db.$cluster.reassign(KEY, to);
      expect(await found(to, 'red')).toEqual(to === 's1' ? [1, 4] : [1, 3]);
      expect(await found(to, 'whale')).toEqual([2]);
      expect(await found(from, 'red')).toEqual(from === 's1' ? [4] : [3]);
      expect(await found(from, 'whale')).toEqual([]);
      // The index holds what the table does.
      await on(to, `insert into search (search) values ('integrity-check')`);
      await on(from, `insert into search (search) values ('integrity-check')`);
    }
  });

  it.each([
    [
      'changes rows that have landed',
      'after insert on notes begin update notes set body = upper(body) where id = new.id; end',
      'Rows of notes did not arrive as they were: a trigger changes them.',
    ],
    [
      'adds rows',
      `after insert on notes when new.id < 10 begin insert into notes values (new.id + 10, new.k, 'copy'); end`,
      'The rows of notes changed',
    ],
    ['keeps rows from landing', 'before insert on notes begin select raise(ignore); end', 'The rows of notes changed'],
    [
      'refuses rows',
      `before insert on notes begin select raise(abort, 'not here'); end`,
      's1 does not take a row: not here.',
    ],
    [
      'refuses that rows go',
      `before delete on notes begin select raise(abort, 'never'); end`,
      's0 does not let a row go: never.',
    ],
    [
      'keeps rows from going',
      `before delete on notes begin update notes set body = 'deleted' where id = old.id; select raise(ignore); end`,
      'Rows of notes did not leave s0: a trigger keeps them.',
    ],
    [
      'puts rows back',
      'after delete on notes begin insert into notes values (old.id, old.k, old.body); end',
      'Rows of notes did not leave s0: a trigger keeps them.',
    ],
  ])('may not interfere: one that %s', async (_what, text, message) => {
    const { db } = await loaded(TABLES, with_({ t: 'fire' }));
    await fill('s0');
    for (const name of ['s0', 's1', 's2'] as const) await on(name, `create trigger t ${text}`);
    const before = await everything();
    const error = await refusalOf(db.$cluster.reassign(KEY, 's1'));
    expect(error).toMatchObject({ code: 'MOVE_REFUSED' });
    expect(error.message).toContain(message);
    expect(await everything()).toEqual(before);
    expect(await ids('s0')).toEqual([1, 2]);
    await db.run(sql`update notes set body = 'written at once' where k = ${KEY}`);
  });
});
