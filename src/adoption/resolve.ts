import type { Catalog, ShardMap } from '../catalog/catalog';
import { ConfigError } from '../errors';
import { sameName } from '../layout/table';
import type { MoveIo } from '../moves/io';
import { type KeyTable, readTables, type ShardTables } from '../moves/key-tables';
import type { TableInfo } from '../moves/schema';
import type { MoveSpec } from '../moves/spec';
import { CONFLICT } from '../placement/conflict';
import { homeOf } from '../placement/home';
import { slotOf } from '../placement/slots';
import { bound, name, sql } from '../sql/tag';
import { foldName } from '../sql/tokens';
import { type ConflictRule, type ConflictRules, type Decision, decide, type Held, losersOf } from './decide';
import { renumberKeys, renumberSharedIds } from './renumber';
import { setAside } from './set-aside';
import { decideStatements, disownStatements, type FoundKey } from './statements';

/** Rows of one table on one shard. */
export interface ResolvedRows {
  readonly shard: string;
  readonly table: string;
  readonly rows: number;
}

export interface ResolveReport {
  /** Keys that can be used again. */
  readonly keys: number;
  /** Rows that were taken out of their tables. They are kept on their shard, in `_shard_set_aside`. */
  readonly setAside: readonly ResolvedRows[];
  /** Rows that have other ids now. */
  readonly renumbered: readonly ResolvedRows[];
  /** Keys that the rules do not decide: some of them, and the first table without a rule. */
  readonly undecided: readonly { readonly keyspace: string; readonly key: string; readonly table: string }[];
}

export interface ResolveParts {
  readonly io: MoveIo & { readonly catalog: Catalog };
  readonly spec: MoveSpec;
  readonly rules: ConflictRules;
}

const KEYS_PER_BATCH = 500;
const MAX_UNDECIDED = 100;

/** Collects what was done, one line for each table of a shard. */
export class Tally {
  readonly #rows = new Map<string, ResolvedRows>();

  add(shard: string, table: string, rows: number): void {
    const key = JSON.stringify([shard, table]);
    if (rows > 0) this.#rows.set(key, { shard, table, rows: (this.#rows.get(key)?.rows ?? 0) + rows });
  }

  get list(): ResolvedRows[] {
    return [...this.#rows.values()];
  }
}

/**
 * Decides the keys that two databases came with. May be repeated; a key is decided only if the rules say what becomes of each
 * row that does not stay.
 *
 * @throws ConfigError for a rule that cannot be: an unknown table or shard, or new ids where something refers to the old ones.
 */
export async function resolveConflicts({ io, spec, rules }: ResolveParts): Promise<ResolveReport> {
  const view = await io.catalog.map();
  if (!view) return { keys: 0, setAside: [], renumbered: [], undecided: [] };
  const { map } = view;
  const names = map.shards.filter(({ state }) => state !== 'retired').map((shard) => shard.name);
  const tables = new Map<string, ShardTables>();
  for (const shard of names) tables.set(shard, await readTables(io, spec, shard));
  const byTable = checkRules(rules, names, tables);
  const aside = new Tally();
  const renumbered = new Tally();
  const undecided: { keyspace: string; key: string; table: string }[] = [];
  let keys = 0;
  for (const keyspace of Object.keys(map.keyspaces)) {
    const context = { io, keyspace, tables, rules: byTable, aside, renumbered };
    for (const home of names) {
      for (let after: string | null = null; ; ) {
        const batch: FoundKey[] = await conflictsAt(io, home, keyspace, after);
        const last = batch.at(-1);
        if (last === undefined) break;
        after = last.key;
        // A shard that once had the slot may have an old record.
        const own = batch.filter((key) => homeOf(map, keyspace, key.slot) === home);
        const left = await resolveBatch(context, map, home, own);
        keys += own.length - left.length;
        undecided.push(...left.slice(0, MAX_UNDECIDED - undecided.length));
      }
    }
  }
  await forgetDecided(io, map);
  await renumberSharedIds(io, tables, byTable, renumbered);
  return { keys, setAside: aside.list, renumbered: renumbered.list, undecided };
}

export interface Resolving {
  readonly io: ResolveParts['io'];
  readonly keyspace: string;
  readonly tables: ReadonlyMap<string, ShardTables>;
  /** By folded table name. */
  readonly rules: ReadonlyMap<string, ConflictRule>;
  readonly aside: Tally;
  readonly renumbered: Tally;
}

function checkRules(
  rules: ConflictRules,
  shards: readonly string[],
  tables: ReadonlyMap<string, ShardTables>,
): Map<string, ConflictRule> {
  const infos = [...tables.values()].flatMap(({ infos: list }) => list);
  for (const [table, rule] of Object.entries(rules)) {
    const info = infos.find((one) => sameName(one.name, table));
    if (!info) {
      throw new ConfigError(`A rule names the table ${table}, which no shard has.`, {
        tables: [table],
        remedy: 'Write its name as it is in the database.',
      });
    }
    if (rule !== 'renumber' && !shards.includes(rule.prefer)) {
      throw new ConfigError(`The rule of ${table} prefers ${rule.prefer}, which is no shard.`, {
        tables: [table],
        remedy: `Write one of: ${shards.join(', ')}.`,
      });
    }
    if (rule === 'renumber') checkRenumber(info, infos);
  }
  return new Map(Object.entries(rules).map(([table, rule]) => [foldName(table), rule]));
}

function checkRenumber(info: TableInfo, infos: readonly TableInfo[]): void {
  const remedy = 'Write { prefer: <shard> } instead.';
  if (info.shape.rowidAlias === undefined) {
    throw new ConfigError(`${info.name} has no INTEGER PRIMARY KEY, so its rows can get no new ids.`, {
      tables: [info.name],
      remedy,
    });
  }
  const referring = infos.find(({ foreignKeys }) => foreignKeys.some(({ table }) => sameName(table, info.name)));
  if (referring) {
    throw new ConfigError(`${referring.name} refers to ${info.name}: rows of it would point to other ones.`, {
      tables: [info.name, referring.name],
      remedy,
    });
  }
}

async function conflictsAt(
  io: ResolveParts['io'],
  home: string,
  keyspace: string,
  after: string | null,
): Promise<FoundKey[]> {
  const [rows = []] = await io.run(home, [
    bound(sql`select key, slot from _shard_keys where keyspace = ${keyspace} and at = ${CONFLICT}
      and ${after === null ? sql`true` : sql`key > ${after}`} order by key limit ${KEYS_PER_BATCH}`),
  ]);
  return rows.map(({ key, slot }) => ({ key: String(key), slot: Number(slot) }));
}

/** The catalog only lists conflicts; their homes decide. Also those that were decided by somebody who died before saying so. */
async function forgetDecided(io: ResolveParts['io'], map: ShardMap): Promise<void> {
  const byHome = new Map<string, { keyspace: string; home: string; keys: string[][] }>();
  for (const { keyspace, key } of await io.catalog.conflicts()) {
    const home = homeOf(map, keyspace, slotOf(key));
    if (home === undefined) continue;
    const list = byHome.get(`${keyspace}\0${home}`) ?? { keyspace, home, keys: [] };
    byHome.set(`${keyspace}\0${home}`, list);
    const page = list.keys.at(-1);
    if (page && page.length < KEYS_PER_BATCH) page.push(key);
    else list.keys.push([key]);
  }
  for (const { keyspace, home, keys } of byHome.values()) {
    for (const page of keys) {
      const list = JSON.stringify(page.map((key) => [key, slotOf(key)]));
      const [rows = []] = await io.run(home, [
        bound(sql`select j.value->>0 as key from json_each(${list}) j where exists (
            select 1 from _shard_slots s where s.keyspace = ${keyspace} and j.value->>1 between s.lo and s.hi)
          and not exists (select 1 from _shard_keys k where k.keyspace = ${keyspace} and k.key = j.value->>0 and k.at = ${CONFLICT})`),
      ]);
      if (rows.length > 0)
        await io.catalog.forgetConflicts(
          keyspace,
          rows.map(({ key }) => String(key)),
        );
    }
  }
}

async function resolveBatch(
  context: Resolving,
  map: ShardMap,
  home: string,
  keys: readonly FoundKey[],
): Promise<{ keyspace: string; key: string; table: string }[]> {
  const { io, keyspace } = context;
  const left: { keyspace: string; key: string; table: string }[] = [];
  const decisions: Decision[] = [];
  // Whoever made it a conflict may have died before a shard that had the key was told: it would go on taking writes.
  for (const shard of keys.length > 0 ? context.tables.keys() : []) {
    if (shard !== home) await io.run(shard, disownStatements({ cluster: io.cluster, shard }, keyspace, keys));
  }
  for (const held of await whoHolds(context, keys)) {
    const winner = decide(held, home, context.rules);
    if (typeof winner === 'string') decisions.push({ ...held, winner });
    else left.push({ keyspace, key: held.key.key, table: winner.table });
  }
  for (const [shard, list] of losersOf(decisions)) {
    const aside = list.filter(({ table }) => context.rules.get(foldName(table.name)) !== 'renumber');
    await setAside(context, shard, aside);
    await renumberKeys(
      context,
      map,
      shard,
      list.filter((one) => !aside.includes(one)),
    );
  }
  const byWinner = new Map<string, FoundKey[]>();
  for (const { winner, key } of decisions) byWinner.set(winner, [...(byWinner.get(winner) ?? []), key]);
  for (const [winner, own] of byWinner) {
    // Its own record first: from then on it answers for the keys, and the home sends there.
    for (const { shard, statements } of decideStatements(io.cluster, keyspace, home, winner, own)) {
      await io.run(shard, statements);
    }
  }
  return left;
}

async function whoHolds({ io, keyspace, tables }: Resolving, keys: readonly FoundKey[]): Promise<Held[]> {
  const held = keys.map((key) => ({ key, tables: new Map<string, KeyTable[]>() }));
  const list = JSON.stringify(keys.map(({ key }) => key));
  for (const [shard, { keyed }] of tables) {
    const own = keyed.filter((table) => table.keyspace === keyspace);
    if (own.length === 0 || keys.length === 0) continue;
    const results = await io.run(
      shard,
      own.map((table) =>
        bound(sql`select j.key as n from json_each(${list}) j
          where coalesce(j.value in (select ${name(table.key)} from ${name(table.name)}), 0)`),
      ),
    );
    for (const [i, table] of own.entries()) {
      for (const { n } of results[i] ?? []) {
        const at = held[Number(n)]?.tables;
        at?.set(shard, [...(at.get(shard) ?? []), table]);
      }
    }
  }
  return held;
}
