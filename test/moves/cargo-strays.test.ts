import { sql } from 'drizzle-orm';
import { describe, expect, it } from 'vitest';
import { failureOf } from '../placement/fixture';
import type { D1Call } from '../support/intercepted-d1';
import { KEY, loaded, on, rowsOn, watched } from './cargo-fixture';

const options = { tables: { notes: { key: 'k' } }, moveTimeout: 200 };
const NOTES = 'create table notes (id integer primary key, k text not null, body text)';
const note = (id: number) => `insert into notes values (${id}, '${KEY}', 'n${id}')`;

const isRelease = ({ statements }: D1Call): boolean =>
  statements.some(({ sql }) => sql.startsWith('delete from "notes"')) &&
  !statements.some(({ sql }) => sql.includes('SHARD_REHEARSED'));

describe('what is written past the router to rows that have landed', () => {
  it.each([
    { what: 'a row more', write: note(9), has: 3, mend: 'delete from notes where id = 9' },
    { what: 'a row less', write: 'delete from notes where id = 1', has: 1, mend: note(1) },
  ])('stops the move until it is undone: $what', async ({ write, has, mend }) => {
    const { db, fleet } = await loaded([NOTES], options);
    await on('s0', note(1), note(2));
    let written = false;
    const mover = watched(
      fleet,
      async (shard, call) => {
        if (written || shard !== 's0' || !isRelease(call)) return;
        written = true;
        await on('s0', write);
      },
      options,
    );
    const said = `of notes, s0 has ${has} rows of the key '${KEY}', and 2 have landed on s1. Something has written to s0 past the router`;
    for (const go of [() => mover.$cluster.reassign(KEY, 's1'), () => db.$cluster.resume()]) {
      const error = await failureOf(go());
      expect(error).toMatchObject({ code: 'MOVE_IN_PROGRESS', tables: ['notes'], shard: 's0' });
      expect(error.message).toContain(said);
      expect(error.message).toContain('delete on s0 what s1 does not have');
      expect(error.message).toContain('db.$cluster.resume()');
    }
    expect((await db.$cluster.jobs()).filter(({ state }) => state === 'running')).toMatchObject([
      { error: expect.stringContaining(said) },
    ]);
    expect(await failureOf(db.run(sql`update notes set body = 'new' where k = ${KEY}`))).toMatchObject({
      code: 'MOVE_IN_PROGRESS',
    });
    await on('s0', mend);
    expect(await db.$cluster.resume()).toMatchObject([{ state: 'done', rows: 2 }]);
    expect(await rowsOn('s0', 'select id from notes')).toEqual([]);
    await db.run(sql`update notes set body = 'new' where k = ${KEY}`);
    expect(await rowsOn('s1', 'select id, body from notes order by id')).toEqual([
      [1, 'new'],
      [2, 'new'],
    ]);
  });
});
