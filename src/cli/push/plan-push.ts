import { ConfigError } from '../../errors';
import { atATime } from '../../migrations/options';
import { describeStatements, schemaFrom } from '../../migrations/schema/describe';
import { inTurns } from '../../migrations/shards';
import { SCHEMA_TEXT } from '../../moves/schema';
import type { BoundStatement } from '../../sql/bound';
import { foldName, quoteName } from '../../sql/tokens';
import { type Actual, changesOf, type ShardStatements, statementsOf, tablesToCount, tablesToStayEmpty } from './diff';
import { type Casing, createStatements } from './kit';
import { type Wanted, wantedSchema } from './wanted';

export interface PushInput<TShard extends string = string> {
  readonly shards: Readonly<Record<TShard, D1Database>>;
  /** What a schema file exports. */
  readonly schema: Record<string, unknown>;
  /** An empty database that nobody needs: the schema is tried on it. */
  readonly scratch: D1Database;
  /** As it is passed to `drizzle()`. */
  readonly casing?: Casing;
  /** The folder of the project, whose drizzle-kit is used. Default: that of this process. */
  readonly root?: string;
  /** Tables that this gives false for stay as they are, and so do views. Default: all are the schema's. */
  readonly isOwn?: (name: string) => boolean;
  /** Shards at a time. Default 6. */
  readonly concurrency?: number;
}

/** What one shard lacks of the schema. */
export interface ShardPush<TShard extends string = string> extends ShardStatements {
  readonly shard: TShard;
  /** Its schema as it was when this was planned: nothing is applied to another one. */
  readonly text: string;
  /** Tables without rows, which would be lost: nothing is applied once there are some. */
  readonly empty: readonly string[];
}

export interface PushPlan<TShard extends string = string> {
  readonly shards: readonly ShardPush<TShard>[];
  readonly wanted: Wanted;
  readonly isOwn: (name: string) => boolean;
}

/**
 * Looks what each database lacks of a Drizzle schema, without changing anything. Tables and views that the schema does not have
 * are dropped; virtual tables and triggers, which Drizzle does not know, stay, and so does what belongs to D1, to migrations and
 * to this package.
 *
 * @example
 * const plan = await planPush({ shards: { east: env.EAST, west: env.WEST }, schema, scratch });
 * for (const { shards, statements } of groupByStatements(plan.shards)) console.log(shards, statements);
 * @throws UsageError without drizzle-kit; ConfigError when the schema is none; what a database throws.
 */
export async function planPush<TShard extends string>(input: PushInput<TShard>): Promise<PushPlan<TShard>> {
  const { schema, casing, scratch, root = process.cwd(), isOwn = () => true } = input;
  const wanted = await wantedSchema(await createStatements(schema, root, casing), scratch);
  const foreign = wanted.schema.tables.find(({ name }) => !isOwn(name));
  if (foreign) throw new ConfigError(`The table ${foreign.name} is in the schema, and is not to be touched.`);
  const shards = Object.entries(input.shards) as [TShard, D1Database][];
  const plans = new Map<TShard, ShardPush<TShard>>();
  await inTurns(shards, atATime(input.concurrency), async ([shard, d1]) => {
    plans.set(shard, { shard, ...(await planShard(readOf(d1), { wanted, isOwn })) });
    return true;
  });
  return { shards: shards.flatMap(([shard]) => plans.get(shard) ?? []), wanted, isOwn };
}

type Row = Readonly<Record<string, unknown>>;
/** One batch; the rows of each statement. */
type Read = (statements: readonly BoundStatement[]) => Promise<Row[][]>;

const readOf =
  (d1: D1Database): Read =>
  async (statements) => {
    const results = await d1.batch<Row>(statements.map(({ sql }) => d1.prepare(sql)));
    return results.map((result) => result.results);
  };

/** What a database lacks now. */
export async function planShard(
  read: Read,
  { wanted, isOwn }: Pick<PushPlan, 'wanted' | 'isOwn'>,
): Promise<Omit<ShardPush, 'shard'>> {
  const { text, ...actual } = await actualOf(read, isOwn);
  const changes = changesOf(wanted, actual);
  const rows = await countRows(read, tablesToCount(changes));
  return { ...statementsOf(wanted, actual, changes, rows), text, empty: tablesToStayEmpty(changes, rows) };
}

const bound = (sql: string): BoundStatement => ({ sql, params: [] });

const READ: readonly BoundStatement[] = [
  bound(`select ${SCHEMA_TEXT} as text`),
  bound("select type, name, tbl_name as tbl, sql from sqlite_master where type in ('table', 'trigger') order by name"),
  ...describeStatements,
];

async function actualOf(read: Read, isOwn: (name: string) => boolean): Promise<Actual & { readonly text: string }> {
  const [[text] = [], written = [], ...description] = await read(READ);
  const ofType = (type: string) => written.filter((row) => row.type === type);
  const schema = schemaFrom(description);
  return {
    text: String(text?.text ?? ''),
    triggers: ofType('trigger').map(({ name, tbl, sql }) => ({
      name: String(name),
      table: String(tbl),
      sql: String(sql),
    })),
    create: new Map(ofType('table').map(({ name, sql }) => [foldName(String(name)), String(sql)])),
    foreign: schema.tables.filter(({ name }) => !isOwn(name)),
    schema: {
      ...schema,
      tables: schema.tables.filter(({ name }) => isOwn(name)),
      indexes: schema.indexes.filter(({ table }) => isOwn(table)),
      views: schema.views.filter(({ name }) => isOwn(name)),
    },
  };
}

async function countRows(read: Read, tables: readonly string[]): Promise<Map<string, number>> {
  if (tables.length === 0) return new Map();
  const results = await read(tables.map((name) => bound(`select count(*) as n from ${quoteName(name)}`)));
  return new Map(tables.map((name, i) => [name, Number(results[i]?.[0]?.n ?? 0)]));
}
