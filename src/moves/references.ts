import { MoveInProgressError, MoveRefusedError } from '../errors';
import { sameName } from '../layout/table';
import { bound, joinSql, name, raw, type Sql, sql } from '../sql/tag';
import { type Cargo, type CarriedTable, planReferences } from './carry';
import { type MoveIo, raisedBy } from './io';
import { checkLanded, createTriggers, dropTriggers, hexName } from './landing';
import { checkIdentity, raising } from './move-sql';
import { throughPins } from './pinned';
import {
  columnList,
  FIRST_ROWS,
  isLastPage,
  nextLimit,
  type PagedRow,
  pageStatement,
  rowValues,
  valueAtPlace,
} from './rows';
import { readSchemaStatements, type ShardSchema, schemaOf } from './schema';
import type { MoveSpec } from './spec';

/** A copier that has died holds writes to the reference tables up for no longer than this. */
const COPY_SECONDS = 30;

/** A mark on both shards under which writes to the reference tables wait. */
interface Mark {
  readonly id: number;
}

/**
 * Copies the rows of the reference tables whole, from one shard to another. Writes to them wait meanwhile. A write that comes
 * after the mark has expired takes it away, so that a copier which is late can no longer land what is older than the write.
 */
export async function copyReferences(io: MoveIo, spec: MoveSpec, from: string, to: string): Promise<number> {
  const [source, target] = await Promise.all(
    [from, to].map(async (shard) => schemaOf(await io.run(shard, readSchemaStatements))),
  );
  if (!source || !target) return 0;
  const cargo = planReferences(spec, source, target);
  if (cargo.tables.length === 0) return 0;
  const mark = { id: Math.floor(Math.random() * 2 ** 52) };
  const run = crypto.randomUUID();
  try {
    // The target first: from here on no write can reach only one of them.
    await placeMark(io, to, mark);
    await placeMark(io, from, mark);
    const counts: number[] = [];
    for (const table of cargo.tables) counts.push(await copyTable(io, { from, to, mark, run }, table));
    const staged = (table: CarriedTable): Sql =>
      sql`_shard_stage s, json_each(s.rows) j where s.move = ${mark.id} and s.run = ${run} and s.tbl = ${table.name}`;
    await io.run(to, [needMark(mark), ...landReferences(cargo, target, staged, counts)].map(bound));
    return counts.reduce((sum, count) => sum + count, 0);
  } finally {
    for (const shard of [from, to]) await io.run(shard, removeMark(mark)).catch(() => {});
  }
}

/**
 * Makes the tables of the target those of the source, without deleting a row that is on both: other rows may refer to it, and
 * would be deleted or changed with it. An extra row that others could refer to in this way is an error, SHARD_EXTRA.
 */
function landReferences(
  cargo: Cargo,
  target: ShardSchema,
  staged: (table: CarriedTable) => Sql,
  counts: readonly number[],
): Sql[] {
  const landed = (table: CarriedTable): Sql => sql`${name(table.name)} where true`;
  return [
    sql`pragma defer_foreign_keys = on`,
    ...dropTriggers(cargo.silentAtLanding),
    ...[...cargo.tables].reverse().flatMap((table) => {
      const extra = isExtra(table, staged(table));
      return [
        ...(hasFollowers(target, table)
          ? [
              sql`select case when exists (select 1 from ${name(table.name)} where ${extra})
                then ${raising(`'SHARD_EXTRA ' || ${hexName(table)}`)} end`,
            ]
          : []),
        sql`delete from ${name(table.name)} where ${extra}`,
      ];
    }),
    ...cargo.tables.map((table) => {
      const columns = columnList(table.columns);
      const updates = joinSql(
        table.columns.map((column) => sql`${name(column)} = excluded.${name(column)}`),
        ', ',
      );
      const conflict =
        table.primaryKey.length === 0
          ? raw('')
          : sql` on conflict (${columnList(table.primaryKey)}) do update set ${updates}`;
      return sql`insert into ${name(table.name)} (${columns})
        select ${rowValues(table)} from (select j.value from ${staged(table)} order by s.part, j.key) where true${conflict}`;
    }),
    ...createTriggers(cargo.silentAtLanding),
    ...checkLanded(cargo, staged, landed, counts),
  ];
}

/** Without a primary key rows cannot be told apart: all of them are replaced. */
function isExtra({ primaryKey, columns }: CarriedTable, staged: Sql): Sql {
  if (primaryKey.length === 0) return raw('true');
  const values = primaryKey.map((column) => valueAtPlace(columns, columns.indexOf(column))).join(', ');
  return sql`(${columnList(primaryKey)}) not in (select ${raw(values)} from (select j.value from ${staged}))`;
}

/** Would deleting a row of this table delete or change rows of another one? */
const hasFollowers = ({ tables }: ShardSchema, { name: parent }: CarriedTable): boolean =>
  [...tables.values()].some(({ foreignKeys }) =>
    foreignKeys.some(({ table, onDelete }) => sameName(table, parent) && !['NO ACTION', 'RESTRICT'].includes(onDelete)),
  );

async function copyTable(
  io: MoveIo,
  { from, to, mark, run }: { from: string; to: string; mark: Mark; run: string },
  table: CarriedTable,
): Promise<number> {
  let count = 0;
  let after: string | undefined;
  let limit = FIRST_ROWS;
  for (let part = 0; ; part++) {
    const results = await io.run(from, [
      bound(needMark(mark)),
      bound(renew(mark)),
      pageStatement(table, undefined, after, limit),
    ]);
    const page = (results[2] ?? []) as unknown as PagedRow[];
    if (page.some(({ lossy }) => lossy === 1)) {
      throw new MoveRefusedError(`A row of ${table.name} holds a number that would change on the way.`, {
        tables: [table.name],
      });
    }
    if (page.length > 0) {
      const rows = `[${page.map(({ row }) => row).join(',')}]`;
      await io.run(
        to,
        [
          needMark(mark),
          renew(mark),
          sql`insert or replace into _shard_stage (move, run, tbl, part, rows)
            values (${mark.id}, ${run}, ${table.name}, ${part}, ${rows})`,
        ].map(bound),
      );
    }
    count += page.length;
    if (page.length === 0 || isLastPage(page, limit)) return count;
    after = page.at(-1)?.at;
    limit = nextLimit(page, limit);
  }
}

async function placeMark(io: MoveIo, shard: string, { id }: Mark): Promise<void> {
  const statements = [
    checkIdentity(io.cluster, shard),
    sql`delete from _shard_moves where side in ('pin', 'turn', 'copy') and expires < unixepoch()`,
    sql`select case when exists (select 1 from _shard_moves where side in ('pin', 'copy') and id <> ${id}) then ${raising("'SHARD_PINNED'")} end`,
    sql`insert into _shard_moves (id, side, phase, expires) values (${id}, 'copy', 'copying', unixepoch() + ${COPY_SECONDS})
      on conflict do nothing`,
  ].map(bound);
  try {
    await throughPins(io, () => io.run(shard, statements));
  } catch (error) {
    if (raisedBy(error)?.kind !== 'PINNED') throw error;
    throw new MoveInProgressError(`Writes to all shards kept ${shard} from copying its reference tables.`, { shard });
  }
}

const alive = ({ id }: Mark): Sql => sql`id = ${id} and side = 'copy' and expires >= unixepoch()`;
const needMark = (mark: Mark): Sql =>
  sql`select case when not exists (select 1 from _shard_moves where ${alive(mark)}) then ${raising("'SHARD_UNMARKED'")} end`;
const renew = (mark: Mark): Sql =>
  sql`update _shard_moves set expires = unixepoch() + ${COPY_SECONDS} where ${alive(mark)}`;
const removeMark = ({ id }: Mark) =>
  [
    sql`delete from _shard_moves where id = ${id} and side = 'copy'`,
    sql`delete from _shard_stage where move = ${id}`,
  ].map(bound);
