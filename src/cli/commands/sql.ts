import { ownerOf } from '../../sharded-drizzle';
import { isOp, isWord, tokenize } from '../../sql/tokens';
import type { CliCommand, Options } from '../command';
import { RefusedError, UsageError } from '../errors';
import type { Fleet } from '../fleet/fleet';
import { isOn, text } from '../options';
import type { Cell, Output } from '../output/output';

type Row = Record<string, unknown>;

export const sql: CliCommand = {
  name: 'sql',
  summary: 'Run a statement as the Worker would, or on one shard.',
  detail: `Through the router, it is answered as if all shards were one database. With --shard, --key or --all it runs on those
databases as they are, where only reading is safe: a write there passes the router by, and may be lost while rows move.`,
  arguments: [['<statement>', 'one statement of SQL']],
  options: [
    ['--shard <name>', 'on this shard alone'],
    ['--key <value>', 'on the shard where this shard key lives'],
    ['--keyspace <name>', 'the keyspace of --key (default)'],
    ['--all', 'on every shard by itself; the rows say where they are from'],
    ['--write', 'with --shard, --key or --all: it may write'],
  ],
  examples: [
    ['sql "select name from users order by name limit 5"', 'merged from all shards'],
    ['sql "select * from users where id = \'user-123\'" --dry-run', 'where it would run, and what'],
    ['sql "select count(*) from users" --all', 'a count for each shard'],
  ],
  changes: true,
  run: async ({ fleet: openFleet, options, out }, [statement = '']) => {
    const fleet = await openFleet();
    const named = await namedShards(fleet, options);
    if (isOn(options, 'dryRun')) {
      const text = named ? `on ${named.join(', ')} as it is` : (await fleet.db.$explain({ sql: statement })).text;
      out.line(text);
      return { result: { plan: text } };
    }
    if (named && !isOn(options, 'write') && !isReading(statement)) {
      throw new RefusedError('This statement may write, and it would pass the router by.', {
        remedy: 'Leave --shard, --key and --all out; or, when nothing else uses these rows now, add --write.',
      });
    }
    const answer = named ? await askEach(fleet, named, statement, isOn(options, 'all')) : await ask(fleet, statement);
    show(out, answer);
    return { result: answer };
  },
};

async function namedShards(fleet: Fleet, options: Options): Promise<string[] | undefined> {
  const shard = text(options, 'shard');
  const key = text(options, 'key');
  const all = options.all === true;
  if ([shard !== undefined, key !== undefined, all].filter(Boolean).length > 1) {
    throw new UsageError('Only one of --shard, --key and --all can be given.');
  }
  if (all) return [...fleet.databases.keys()];
  if (key !== undefined) return [await ownerOf(fleet.cluster, text(options, 'keyspace') ?? 'default', key)];
  if (shard === undefined) return undefined;
  if (fleet.databases.has(shard)) return [shard];
  throw new UsageError(`There is no shard ${shard}.`, {
    remedy: `Write one of: ${[...fleet.databases.keys()].join(', ')}.`,
  });
}

const READING = ['select', 'values', 'explain'];
/** https://developers.cloudflare.com/d1/sql-api/sql-statements/#compatible-pragma-statements */
const READING_PRAGMAS: ReadonlySet<string> = new Set([
  'table_list',
  'table_info',
  'table_xinfo',
  'index_list',
  'index_info',
  'index_xinfo',
  'foreign_key_list',
  'foreign_key_check',
  'quick_check',
]);
const WRITING = ['insert', 'update', 'delete', 'replace'];

/** A `with` may end in a write, a pragma with a value is one, and D1 runs all statements of a text. */
export function isReading(statement: string): boolean {
  const tokens = tokenize(statement);
  if (tokens.slice(0, -1).some((token) => isOp(token, ';'))) return false;
  if (isWord(tokens[0], 'pragma')) return READING_PRAGMAS.has(tokens[1]?.value ?? '') && !statement.includes('=');
  if (READING.some((word) => isWord(tokens[0], word))) return true;
  return isWord(tokens[0], 'with') && !tokens.some((token) => WRITING.some((word) => isWord(token, word)));
}

interface SqlAnswer {
  readonly rows: readonly Row[];
  /** How many rows were written, indexes not counted. */
  readonly changes: number;
}

async function ask({ db }: Fleet, statement: string): Promise<SqlAnswer> {
  const { results, meta } = await db.$client.prepare(statement).all<Row>();
  return { rows: results, changes: meta.changes };
}

async function askEach(fleet: Fleet, shards: readonly string[], statement: string, named: boolean): Promise<SqlAnswer> {
  const rows: Row[] = [];
  let changes = 0;
  for (const shard of shards) {
    const { results, meta } = await (fleet.databases.get(shard) as D1Database).prepare(statement).all<Row>();
    rows.push(...results.map((row) => (named ? { shard, ...row } : row)));
    changes += meta.changes;
  }
  return { rows, changes };
}

function show(out: Output, { rows, changes }: SqlAnswer): void {
  const [first] = rows;
  if (!first) {
    out.line(changes > 0 ? `${changes.toLocaleString('en')} rows changed.` : 'No rows.');
    return;
  }
  const columns = Object.keys(first);
  out.table(
    columns,
    rows.map((row) => columns.map((column) => cellOf(row[column]))),
  );
}

const cellOf = (value: unknown): Cell =>
  value === null ? 'NULL' : Array.isArray(value) ? `x'${hexOf(value)}'` : String(value);

const hexOf = (bytes: readonly number[]): string => bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
