import { sql } from 'drizzle-orm';
import { describe, expect, it } from 'vitest';
import { failureOf } from '../placement/fixture';
import { everything, KEY, loaded, on, refusalOf, rowsOn, unfinished, watched } from './cargo-fixture';

const tables = { accounts: { key: 'k' } };
/** Nobody waits for rows that a refused move has left frozen. */
const options = { tables, moveTimeout: 200 };
const ACCOUNTS = [
  `create table accounts (id integer primary key, k text not null, email text unique collate nocase, team text, place integer,
    code blob unique, nick text, unique (team, place))`,
  'create unique index accounts_nick on accounts (nick) where nick is not null',
  'create unique index accounts_lower on accounts (lower(nick))',
];

describe('a value that a row of the target has already', () => {
  it.each([
    ['a UNIQUE column', 'email', `'a''b@c'`, 'email = "a\'b@c"'],
    ['several UNIQUE columns', 'team, place', `'red', 7`, 'team, place = "red",7'],
    ['a UNIQUE blob', 'code', `x'00ff'`, `code = "X'00FF'"`],
    ['a unique index', 'nick', `'joe'`, 'nick = "joe"'],
  ])('refuses the move: %s', async (_what, columns, values, told) => {
    const { db } = await loaded(ACCOUNTS, options);
    await on('s0', `insert into accounts (id, k, ${columns}) values (1, '${KEY}', ${values})`);
    await on('s0', `insert into accounts (id, k) values (2, '${KEY}')`);
    await on('s1', `insert into accounts (id, k, ${columns}) values (3, 'other', ${values})`);
    const before = await everything();
    const error = await refusalOf(db.$cluster.reassign(KEY, 's1'));
    expect(error).toMatchObject({ code: 'MOVE_CONFLICT', tables: ['accounts'], shard: 's1' });
    expect(error.message).toContain(`s1 has another row of accounts with ${told}`);
    expect(await everything()).toEqual(before);
    await db.run(sql`update accounts set nick = 'mine' where k = ${KEY} and id = 2`);
    await on('s1', 'update accounts set email = null, team = null, code = null, nick = null where id = 3');
    expect(await db.$cluster.reassign(KEY, 's1')).toMatchObject({ rows: 2 });
    expect(await rowsOn('s1', 'select id, k from accounts order by id')).toEqual([
      [1, KEY],
      [2, KEY],
      [3, 'other'],
    ]);
    expect(await rowsOn('s0', 'select id from accounts')).toEqual([]);
  });

  it('refuses the move: an INTEGER PRIMARY KEY', async () => {
    const { db } = await loaded(ACCOUNTS, options);
    await on('s0', `insert into accounts (id, k) values (9007199254740993, '${KEY}')`);
    await on('s1', `insert into accounts (id, k) values (9007199254740993, 'other')`);
    const before = await everything();
    const error = await refusalOf(db.$cluster.reassign(KEY, 's1'));
    expect(error).toMatchObject({ code: 'MOVE_CONFLICT' });
    expect(error.message).toContain('accounts with id = 9007199254740993');
    expect(await everything()).toEqual(before);
  });

  it('refuses the move: a unique index of expressions, by its name', async () => {
    const { db } = await loaded(ACCOUNTS, options);
    await on('s0', `insert into accounts (id, k, nick) values (1, '${KEY}', 'Joe')`);
    await on('s1', `insert into accounts (id, k, nick) values (2, 'other', 'JOE')`);
    const before = await everything();
    const error = await refusalOf(db.$cluster.reassign(KEY, 's1'));
    expect(error).toMatchObject({ code: 'MOVE_CONFLICT', shard: 's1' });
    expect(error.message).toContain('accounts_lower');
    expect(await everything()).toEqual(before);
  });

  it('does not replace that row, whatever the table says', async () => {
    const { db } = await loaded(
      ['create table accounts (id integer primary key, k text, email text unique on conflict replace)'],
      options,
    );
    await on('s0', `insert into accounts values (1, '${KEY}', 'a')`);
    await on('s1', `insert into accounts values (2, 'other', 'a')`);
    const before = await everything();
    expect(await refusalOf(db.$cluster.reassign(KEY, 's1'))).toMatchObject({ code: 'MOVE_CONFLICT' });
    expect(await everything()).toEqual(before);
  });

  it('refuses a move that is so large that landing is tried first', async () => {
    const { db } = await loaded(ACCOUNTS, options);
    await on(
      's0',
      `with recursive c(i) as (select 1 union all select i + 1 from c where i < 20001)
        insert into accounts (id, k, nick) select i, '${KEY}', 'n' || i from c`,
    );
    await on('s1', `insert into accounts (id, k, nick) values (30000, 'other', 'n777')`);
    const error = await refusalOf(db.$cluster.reassign(KEY, 's1'));
    expect(error).toMatchObject({ code: 'MOVE_CONFLICT', tables: ['accounts'] });
    expect(error.message).toContain('nick = "n777"');
    expect(await rowsOn('s1', 'select id from accounts')).toEqual([[30000]]);
    await on('s1', 'delete from accounts');
    expect(await db.$cluster.reassign(KEY, 's1')).toMatchObject({ rows: 20001 });
  });

  it('refuses to move slots as well', async () => {
    const { db } = await loaded(ACCOUNTS, options);
    await db.$cluster.moveSlots({ lo: 0, hi: 16383 }, 's0');
    await on('s0', `insert into accounts (id, k, nick) values (1, 'a', 'joe'), (2, 'b', 'jim')`);
    await on('s1', `insert into accounts (id, k, nick) values (3, 'c', 'jim')`);
    const before = await everything();
    const error = await refusalOf(db.$cluster.moveSlots({ lo: 0, hi: 16383 }, 's1'));
    expect(error).toMatchObject({ code: 'MOVE_CONFLICT' });
    expect(error.message).toContain('nick = "jim"');
    expect(await everything()).toEqual(before);
    await db.run(sql`update accounts set nick = 'jack' where k = 'b'`);
    await db.$cluster.moveSlots({ lo: 0, hi: 16383 }, 's1');
    expect(await rowsOn('s1', 'select nick from accounts order by id')).toEqual([['joe'], ['jack'], ['jim']]);
  });
});

describe('a row that is written past the router while its key is frozen', () => {
  const row = (id: number) => `insert into accounts (id, k) values (${id}, '${KEY}')`;

  /** Moves the key, and writes to s0 before the first batch that has this in it. */
  async function intruded(text: string, without: string) {
    const { db, fleet } = await loaded(ACCOUNTS, options);
    await on('s0', row(1), row(2));
    let written = false;
    const mover = watched(
      fleet,
      async (_shard, { statements }) => {
        const has = (part: string) => statements.some((one) => one.sql.includes(part));
        if (written || !has(text) || has(without)) return;
        written = true;
        await on('s0', row(3));
      },
      options,
    );
    const error = await failureOf(mover.$cluster.reassign(KEY, 's1'));
    expect(written).toBe(true);
    expect(error).toMatchObject({ tables: ['accounts'] });
    expect(error.message).toContain('past the router');
    return { db, fleet, error };
  }

  it('is met before the rows land, and the move is given up', async () => {
    const { db, error } = await intruded('SHARD_REHEARSED', 'nothing');
    expect(error).toMatchObject({ code: 'MOVE_REFUSED' });
    expect(error.message).toContain('The rows of accounts changed while they were frozen');
    expect(await unfinished()).toEqual([]);
    expect(await rowsOn('s0', 'select id from accounts order by id')).toEqual([[1], [2], [3]]);
    expect(await rowsOn('s1', 'select id from accounts')).toEqual([]);
    await db.run(sql`update accounts set nick = 'still here' where k = ${KEY} and id = 3`);
    expect(await db.$cluster.reassign(KEY, 's1')).toMatchObject({ rows: 3 });
  });

  it.each([
    ['before the rows land', "set phase = 'landed'", 'SHARD_REHEARSED'],
    ['before they are released', 'set version = version + 1', 'SHARD_REHEARSED'],
  ])('is not deleted: %s', async (_when, text, without) => {
    const { db, fleet, error } = await intruded(text, without);
    expect(error).toMatchObject({ code: 'MOVE_IN_PROGRESS', shard: 's0' });
    expect(await rowsOn('s0', 'select id from accounts order by id')).toEqual([[1], [2], [3]]);
    expect(await rowsOn('s1', 'select id from accounts order by id')).toEqual([[1], [2]]);
    // Whoever has written it has to say where it belongs.
    await on('s0', 'delete from accounts where id = 3');
    await fleet.catalog('update _shard_catalog_jobs set leased_until = 0');
    expect(await db.$cluster.resume()).toHaveLength(1);
    expect(await unfinished()).toEqual([]);
    expect(await rowsOn('s0', 'select id from accounts')).toEqual([]);
    await db.run(sql`update accounts set nick = 'writes go on' where k = ${KEY} and id = 1`);
  });
});
