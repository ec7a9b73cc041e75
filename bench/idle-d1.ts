import { POSTS_PER_USER, userId } from './cases.ts';

/**
 * A D1 database without the database: answers at once, with rows of the right shape. Only to measure our own CPU time,
 * which a real one would hide; what is correct is for the tests, which use real ones.
 */
export class IdleD1 implements D1Database {
  prepare(sql: string): D1PreparedStatement {
    return new IdleStatement(answerTo(sql));
  }

  batch<T = unknown>(statements: D1PreparedStatement[]): Promise<D1Result<T>[]> {
    return Promise.all(statements.map((statement) => statement.all<T>()));
  }

  exec(): Promise<D1ExecResult> {
    return Promise.resolve({ count: 1, duration: 0 });
  }

  withSession(): D1DatabaseSession {
    return {
      prepare: (sql) => this.prepare(sql),
      batch: (statements) => this.batch(statements),
      getBookmark: () => null,
    };
  }

  dump(): Promise<ArrayBuffer> {
    return Promise.resolve(new ArrayBuffer(0));
  }
}

/** A KV namespace that always has the map of a cluster of these shards, in equal parts. */
export const idleKv = (shards: readonly string[]): { get: KVNamespace['get']; put: KVNamespace['put'] } => {
  const size = Math.ceil(16384 / shards.length);
  const ranges = shards.map((shard, i) => ({ lo: i * size, hi: Math.min((i + 1) * size, 16384) - 1, shard }));
  const map = {
    cluster: 'idle',
    epoch: 1,
    base: 0,
    shards: shards.map((name) => ({ name, weight: 1, state: 'active' })),
    keyspaces: { default: { strategy: 'hash', directory: false, ranges } },
  };
  return { get: (() => Promise.resolve(map)) as unknown as KVNamespace['get'], put: () => Promise.resolve() };
};

class IdleStatement implements D1PreparedStatement {
  readonly #answer: Answer;

  constructor(answer: Answer) {
    this.#answer = answer;
  }

  bind(): D1PreparedStatement {
    return new IdleStatement(this.#answer);
  }

  all<T>(): Promise<D1Result<T>> {
    return Promise.resolve({ success: true, results: this.#answer.objects.slice() as T[], meta: { ...META } });
  }

  run<T>(): Promise<D1Result<T>> {
    return this.all();
  }

  raw<T = unknown[]>(options: { columnNames: true }): Promise<[string[], ...T[]]>;
  raw<T = unknown[]>(options?: { columnNames?: false }): Promise<T[]>;
  raw<T>(options?: { columnNames?: boolean }): Promise<T[] | [string[], ...T[]]> {
    const rows = this.#answer.rows.slice() as T[];
    return Promise.resolve(options?.columnNames ? [this.#answer.columns, ...rows] : rows);
  }

  first<T>(): Promise<T | null> {
    return Promise.resolve((this.#answer.objects[0] ?? null) as T | null);
  }
}

interface Answer {
  readonly columns: string[];
  readonly rows: unknown[][];
  readonly objects: Record<string, unknown>[];
}

const META: D1Meta & Record<string, unknown> = {
  duration: 0.1,
  size_after: 65536,
  rows_read: 1,
  rows_written: 0,
  last_row_id: 0,
  changed_db: false,
  changes: 0,
};

const user = (index: number) => [userId(index), `Name ${index}`, 'name@example.com'];
const posts = Array.from({ length: POSTS_PER_USER }, (_, n) => [`post-${n}`, userId(1), `Post ${n}`]);

const ONE_USER = answer(['id', 'name', 'email'], [user(1)]);
const PAGE_OF_USERS = answer(
  ['id', 'name', 'email'],
  Array.from({ length: 20 }, (_, index) => user(index)),
);
const POSTS = answer(['id', 'user_id', 'title'], posts);
const USER_WITH_POSTS = answer(['id', 'name', 'email', 'posts'], [[...user(1), JSON.stringify(posts)]]);
const USERS_COLUMNS = answer(
  ['name', 'type', 'pk', 'hidden', 'dflt_value'],
  ['id', 'name', 'email'].map((name, index) => [name, 'TEXT', index === 0 ? 1 : 0, 0, null]),
);
const USERS_TABLE = answer(['name', 'type', 'sql'], [['users', 'table', 'create table users (id text primary key)']]);
const NOTHING = answer([], []);
/** Every guard passes. */
const GUARD = answer(['guard', 'version', 'digest'], [[null, 0, 0]]);

function answer(columns: string[], rows: unknown[][]): Answer {
  return {
    columns,
    rows,
    objects: rows.map((row) => Object.fromEntries(columns.map((column, index) => [column, row[index]]))),
  };
}

function answerTo(sql: string): Answer {
  if (sql.includes('_shard_identity')) return GUARD;
  if (!sql.startsWith('select')) return NOTHING;
  // What the library asks, once, of a table that it takes apart.
  if (sql.includes('pragma_table_xinfo')) return USERS_COLUMNS;
  if (sql.includes('sqlite_master')) return USERS_TABLE;
  if (sql.includes('pragma_index_list')) return NOTHING;
  if (sql.includes('json_group_array')) return USER_WITH_POSTS;
  if (sql.includes('from "posts"')) return POSTS;
  return sql.includes('order by') ? PAGE_OF_USERS : ONE_USER;
}
