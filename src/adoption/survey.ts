import type { CatalogView, OpenRequest } from '../catalog/catalog';
import { AdoptionConflictError } from '../errors';
import type { Placement } from '../layout/table';
import { carriedTables, placements } from '../moves/carry';
import type { MoveIo } from '../moves/io';
import { readSchemaStatements, type ShardSchema, schemaOf, type TableInfo } from '../moves/schema';
import type { MoveSpec } from '../moves/spec';
import { quoteName } from '../sql/tokens';
import { checksumOf } from '../verify/replicas';

/** One batch of reads on a database. */
export type ReadBatch = MoveIo['run'];

/** How keyspaces begin whose rows databases came with: see `ShardedConfig.adopt`. */
export type AdoptMode = 'auto' | 'own' | 'records';

/** A database, and which of its tables have rows. */
export interface Surveyed {
  readonly shard: string;
  readonly schema: ShardSchema;
  /** By folded table name. */
  readonly placed: ReadonlyMap<string, Placement>;
  readonly filled: ReadonlySet<string>;
}

/** Asks databases, so many at a time: each call that is under way takes a connection. */
type ForEach = <R>(shards: readonly string[], ask: (shard: string) => Promise<R>) => Promise<R[]>;

const atOnce: ForEach = (shards, ask) => Promise.all(shards.map(ask));

/** Looks at the tables of databases, and whether they have rows. */
export function surveyShards(
  spec: MoveSpec,
  shards: readonly string[],
  read: ReadBatch,
  forEach: ForEach = atOnce,
): Promise<Surveyed[]> {
  return forEach(shards, async (shard) => {
    const schema = schemaOf(await read(shard, readSchemaStatements));
    const names = [...schema.tables];
    const rows =
      names.length === 0
        ? []
        : await read(
            shard,
            names.map(([, { name }]) => ({
              sql: `select exists (select 1 from ${quoteName(name)}) as n`,
              params: [],
            })),
          );
    const filled = names.flatMap(([folded], i) => (rows[i]?.[0]?.n === 1 ? [folded] : []));
    return { shard, schema, placed: placements(spec, schema), filled: new Set(filled) };
  });
}

/**
 * What a cluster is to be told of databases and keyspaces that it does not know, when they come with rows. Pure but for reading
 * the reference tables.
 *
 * @throws AdoptionConflictError for rows that no configuration of this kind could show.
 */
export async function withAdoptions(
  request: OpenRequest,
  view: CatalogView | undefined,
  spec: MoveSpec,
  mode: AdoptMode,
  read: ReadBatch,
  forEach: ForEach,
): Promise<OpenRequest> {
  const known = new Set(view?.map.shards.map(({ name }) => name));
  const isNewKeyspace = ({ name }: { readonly name: string }) => view?.map.keyspaces[name] === undefined;
  const names = request.shards.map(({ name }) => name);
  const fresh = names.filter((name) => !known.has(name));
  const looked = request.keyspaces.some(isNewKeyspace) ? names : fresh;
  if (looked.length === 0) return request;
  const surveyed = await surveyShards(spec, looked, read, forEach);
  if (surveyed.every(({ filled }) => filled.size === 0)) return request;
  const arrived = surveyed.filter(({ shard }) => fresh.includes(shard));
  refuseMisplaced(arrived);
  const lacking = view ? new Set<string>() : await lackingReferences(surveyed, read);
  const canOwn = (shard: string) =>
    view ? view.map.shards.some(({ name, state }) => name === shard && state === 'active') : !lacking.has(shard);
  const keyspaces = request.keyspaces.map((keyspace) => {
    const isNew = isNewKeyspace(keyspace);
    const holders = (isNew ? surveyed : arrived).filter((one) => holds(one, keyspace.name)).map(({ shard }) => shard);
    const [only, ...others] = holders;
    if (only === undefined) return keyspace;
    if (isNew && others.length === 0 && mode !== 'records' && canOwn(only)) return { ...keyspace, owner: only };
    if (isNew && mode === 'own' && others.length > 0) throw severalOwners(keyspace.name, holders);
    return { ...keyspace, adopts: holders };
  });
  const adopted = surveyed.filter(({ shard }) => keyspaces.some(({ adopts }) => adopts?.includes(shard)));
  const anchor = view?.map.shards.find(({ name, state }) => state === 'active' && names.includes(name))?.name;
  const model = view
    ? anchor && (await surveyShards(spec, [anchor], read))[0]
    : surveyed.find(({ shard }) => !lacking.has(shard));
  if (model)
    await refuseWithoutReferences(
      model,
      adopted.filter(({ shard }) => !canOwn(shard)),
      read,
    );
  return {
    ...request,
    shards: request.shards.map((one) => (lacking.has(one.name) ? { ...one, lacksReference: true } : one)),
    keyspaces,
  };
}

/** Rows are joined with what their own shard has of the tables that are whole everywhere, from the first query on. */
async function refuseWithoutReferences(model: Surveyed, adopted: readonly Surveyed[], read: ReadBatch): Promise<void> {
  for (const one of adopted) {
    const tables = new Set(
      [model, one].flatMap(({ placed, filled }) =>
        [...filled].filter((name) => placed.get(name)?.kind === 'replicated'),
      ),
    );
    for (const table of tables) {
      if (model.filled.has(table) === one.filled.has(table)) {
        await refuseDifferent(table, [model, one], read);
        continue;
      }
      const [full, empty] = one.filled.has(table) ? [one, model] : [model, one];
      const name = full.schema.tables.get(table)?.name ?? table;
      throw new AdoptionConflictError(
        `The table ${name} is whole on every shard, and ${empty.shard} has no rows of it, but ${full.shard} has some.`,
        {
          tables: [name],
          shard: one.shard,
          remedy: `Make ${name} on ${one.shard} the same first: its rows are joined with it.`,
        },
      );
    }
  }
}

const holds = ({ placed, filled }: Surveyed, keyspace: string): boolean =>
  [...filled].some((name) => {
    const placement = placed.get(name);
    return placement?.kind === 'sharded' && placement.keyspace === keyspace;
  });

const severalOwners = (keyspace: string, holders: readonly string[]): AdoptionConflictError =>
  new AdoptionConflictError(
    `adopt: 'own' gives all of the keyspace ${keyspace} to the one database with rows of it, and ${holders.join(', ')} have some.`,
    { remedy: "Write adopt: 'records', or leave it out." },
  );

/** Rows of a table that is whole on one shard are read there only. */
function refuseMisplaced(surveyed: readonly Surveyed[]): void {
  for (const { shard, schema, placed, filled } of surveyed) {
    for (const name of filled) {
      const placement = placed.get(name);
      if (placement?.kind !== 'pinned' || placement.shard === shard) continue;
      const table = schema.tables.get(name)?.name ?? name;
      throw new AdoptionConflictError(
        `The table ${table} is whole on ${placement.shard} by the configuration, and ${shard} has rows of it.`,
        { tables: [table], shard, remedy: `Move them to ${placement.shard} first, or give ${table} a shard key.` },
      );
    }
  }
}

/** At first contact: shards without rows of a reference table that others have. They get them before they may own anything. */
async function lackingReferences(surveyed: readonly Surveyed[], read: ReadBatch): Promise<Set<string>> {
  const tables = new Set(
    surveyed.flatMap(({ placed, filled }) => [...filled].filter((name) => placed.get(name)?.kind === 'replicated')),
  );
  const lacking = new Set<string>();
  for (const table of tables) {
    const having = surveyed.filter(({ filled }) => filled.has(table));
    for (const { shard, filled } of surveyed) if (!filled.has(table)) lacking.add(shard);
    await refuseDifferent(table, having, read);
  }
  if (lacking.size < surveyed.length) return lacking;
  throw new AdoptionConflictError('No database has the rows of all tables that are whole on every shard.', {
    tables: [...tables],
    remedy: 'Copy them into one database first.',
  });
}

async function refuseDifferent(table: string, having: readonly Surveyed[], read: ReadBatch): Promise<void> {
  const sums: string[] = [];
  for (const { shard, schema } of having) {
    const [carried] = carriedTables([schema.tables.get(table) as TableInfo], () => undefined);
    if (having.length > 1 && carried) sums.push((await checksumOf({ run: read }, shard, carried)).sum);
  }
  if (new Set(sums).size < 2) return;
  throw new AdoptionConflictError(
    `The table ${table} is to be whole on every shard, and has different rows on ${having.map(({ shard }) => shard).join(', ')}.`,
    { tables: [table], remedy: 'Make them the same first, or leave `replicated` out.' },
  );
}
