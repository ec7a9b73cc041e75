import { type SQL, sql } from 'drizzle-orm';
import type { SQLiteTable } from 'drizzle-orm/sqlite-core';
import { items, orders, posts, postTags, settings, type TableName, tags, users } from './schema';

/** A value as Drizzle takes it; a piece of SQL for those that cannot be bound. */
export type Cell = string | number | boolean | Date | Uint8Array | SQL | null;

/** Columns of one domain hold the same keys: joins use them. */
export type Domain = 'user' | 'post' | 'order' | 'tag';

export interface ColumnSpec {
  readonly kind: 'text' | 'number' | 'blob';
  /** What rows hold. */
  readonly cells: readonly Cell[];
  /** What queries compare the column with. */
  readonly samples: readonly Cell[];
  readonly domain?: Domain;
  /** Declared COLLATE NOCASE. */
  readonly nocase?: boolean;
  /** Its sum is exact in whatever order it is added up. */
  readonly sums?: boolean;
}

export interface TableSpec {
  readonly name: TableName;
  readonly table: SQLiteTable;
  readonly primaryKey: readonly string[];
  /** Few rows: cheap to join with everything. */
  readonly small?: boolean;
  readonly columns: Readonly<Record<string, ColumnSpec>>;
}

/** Values that a bound parameter cannot be: odd types, and integers that JavaScript cannot hold. */
const odd = (literal: string): SQL => sql.raw(literal);

// U+FF5E is above the surrogates of U+1F600 in UTF-16 and below it in UTF-8: a merge by code unit gets them wrong.
const WORDS = [
  '',
  ' ',
  'a',
  'A',
  'b',
  'B',
  'ab',
  'ab ',
  'aB',
  'é',
  'É',
  'ß',
  '中',
  '～',
  '😀',
  '𝒳',
  '%',
  '_',
  '10',
  '9',
  '1.0',
  "it's",
];
const NUL = odd("'a' || char(0) || 'b'");

/** Keys that look like numbers, differ in case or blanks, or are empty. */
export const USER_IDS = [
  'u1',
  'U1',
  '1',
  '1.0',
  '01',
  '',
  ' x',
  'x ',
  'ü',
  '😀',
  '～',
  'a,b',
  "o'",
  'null',
  'u2',
  'u3',
  'u4',
  'u5',
  'u6',
  'u7',
  'u8',
  'u9',
];
export const ORDER_IDS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, -5, 100, 1000, 4294967296, 9007199254740991];
export const TAG_IDS = ['t1', 't2', 'T1', '3', 't 4'];
export const SETTING_NAMES = ['theme', 'Theme', 'limit', ''];
export const SLOTS = [0, 1, 2, 3];
export const LINES = [1, 2, 3];
export const postId = (userId: string, slot: number): string => `${userId}/${slot}`;
const POST_IDS = USER_IDS.flatMap((id) => SLOTS.map((slot) => postId(id, slot)));

function column(kind: ColumnSpec['kind'], cells: readonly Cell[], rest: Partial<ColumnSpec> = {}): ColumnSpec {
  const samples = cells.filter((cell): cell is Exclude<Cell, SQL | null> => cell !== null && !isSql(cell));
  return { kind, cells, samples, ...rest };
}

const isSql = (cell: Cell): cell is SQL => typeof cell === 'object' && cell !== null && 'queryChunks' in cell;
const userId = column('text', USER_IDS, { domain: 'user', samples: [...USER_IDS, 'nobody', 1] });
const orderId = column('number', ORDER_IDS, { domain: 'order', samples: [...ORDER_IDS, 77, '5', 2.5] });
const tagId = column('text', TAG_IDS, { domain: 'tag' });
const postIds = column('text', POST_IDS, { domain: 'post' });
const nocase = column('text', [null, ...WORDS], { nocase: true });
const small = column('number', [null, 0, 1, 2, 3, 5, 8, -1], { sums: true });
/** Quarters, minus zero, and a number so large that what is added to it vanishes: sums do not depend on the order. */
const quarters = column('number', [null, odd('-0.0'), 0.25, 1.5, -2.75, 3, 10, odd('1e20')], { sums: true });

export const TABLES: readonly TableSpec[] = [
  {
    name: 'users',
    table: users,
    primaryKey: ['id'],
    columns: {
      id: userId,
      name: column('text', [...WORDS, NUL]),
      nickname: column('text', [null, null, ...WORDS]),
      age: small,
      score: quarters,
      email: nocase,
      active: column('number', [true, false]),
      avatar: column(
        'blob',
        [null, new Uint8Array([]), new Uint8Array([0, 255]), new Uint8Array([97]), odd("'text'")],
        {
          samples: [new Uint8Array([97]), new Uint8Array([])],
        },
      ),
    },
  },
  {
    name: 'posts',
    table: posts,
    primaryKey: ['id'],
    columns: {
      id: postIds,
      userId,
      slot: column('number', SLOTS, { sums: true }),
      title: nocase,
      views: column('number', [null, 0, 1, 2, 2, 3, 7, -1, odd('1.5'), odd("'old'"), odd("''"), odd("x'31'")], {
        sums: true,
        samples: [0, 1, 2, 1.5, 'old', '2'],
      }),
      rating: column('number', [null, '1', '1.5', 'abc', '-0', '10', '9', '1e20', ''], { sums: true }),
      ref: column('number', [null, 1, 2, odd('9007199254740993'), odd('9007199254740992'), odd('-9007199254740995')], {
        sums: true,
        samples: [1, 2, 9007199254740992],
      }),
    },
  },
  {
    name: 'orders',
    table: orders,
    primaryKey: ['id'],
    columns: {
      id: orderId,
      userRef: column('text', [null, ...USER_IDS, 'nobody'], { domain: 'user' }),
      total: column('number', [null, '0', '12.5', '100', '1e3', '7.25', '-3'], { sums: true }),
      placedAt: column('number', [null, new Date(0), new Date(1e12), new Date(-5000), new Date(1.5e12)]),
      status: column('text', ['new', 'paid', 'Paid', 'sent', '']),
      quantity: small,
    },
  },
  {
    name: 'items',
    table: items,
    primaryKey: ['orderId', 'line'],
    columns: {
      orderId,
      line: column('number', LINES, { sums: true }),
      sku: column('text', [null, 'a', 'b', 'A', '10', '9']),
      price: quarters,
    },
  },
  {
    name: 'tags',
    table: tags,
    primaryKey: ['id'],
    small: true,
    columns: { id: tagId, label: column('text', ['red', 'RED', 'Blue', '', 'é'], { nocase: true }), weight: small },
  },
  {
    name: 'postTags',
    table: postTags,
    primaryKey: ['userId', 'postId', 'tagId'],
    columns: { userId, postId: postIds, tagId },
  },
  {
    name: 'settings',
    table: settings,
    primaryKey: ['name'],
    small: true,
    columns: {
      name: column('text', SETTING_NAMES),
      value: column('text', [null, 'dark', '10', '']),
      version: column('number', [0, 1, 2, 5], { sums: true }),
    },
  },
];

export function tableSpec(name: TableName): TableSpec {
  const spec = TABLES.find((candidate) => candidate.name === name);
  if (!spec) throw new Error(`No table ${name}.`);
  return spec;
}
