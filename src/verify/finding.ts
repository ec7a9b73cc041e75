/** Something that is not as it should be. */
export interface Finding {
  /**
   * - `stray`: rows on a shard that does not own their key, while the owner has none; no query finds them
   * - `duplicate`: rows of one key on the owner and on another shard
   * - `unreachable`: a key's home and the shard that it names disagree on where the key lives, or that shard has its rows
   *   without knowing of it
   * - `slots`: the catalog and the shards disagree on who owns slots
   * - `replica`: a reference table is not the same on all shards
   * - `keyless`: rows with a null or unusable shard key, which belong to no shard
   * - `unfinished`: a move, or a list of keys for one, that nobody is at work on
   * - `conflict`: two databases came with rows of one key; no statement with it runs
   * - `digest`: the digests do not add up, so that no scatter is answered: a shard was restored, or belongs to another cluster
   */
  readonly kind:
    | 'stray'
    | 'duplicate'
    | 'unreachable'
    | 'slots'
    | 'replica'
    | 'keyless'
    | 'unfinished'
    | 'conflict'
    | 'digest';
  readonly shard: string;
  readonly message: string;
  readonly keyspace?: string;
  readonly key?: string;
  readonly table?: string;
  /** What to do about it. */
  readonly remedy?: string;
  /** It was mended by `repair`. */
  readonly repaired: boolean;
}

/** Placement records that are as they may be: nothing is wrong, and nothing has to be done. */
export interface RecordNote {
  /**
   * - `rowless`: keys that live on the shard, and have no rows: all were deleted, or none was inserted. They keep their place
   * - `unwritten`: new keys that the shard has given another one, `at`, which knows nothing of them yet: their first write
   *   failed. The next one ends it
   */
  readonly kind: 'rowless' | 'unwritten';
  readonly shard: string;
  readonly at?: string;
  readonly keyspace: string;
  /** How many keys. */
  readonly keys: number;
  /** Some of them. */
  readonly examples: readonly string[];
}

/** Rows of one table on one shard. */
export interface TableCount {
  readonly shard: string;
  readonly table: string;
  readonly rows: number;
  /** Of a reference table: the same on all shards where the rows are. */
  readonly checksum?: string;
}

export interface VerifyReport {
  /** Nothing was found that is not mended. */
  readonly ok: boolean;
  readonly findings: readonly Finding[];
  /** What is worth knowing, and no fault. */
  readonly notes: readonly RecordNote[];
  readonly tables: readonly TableCount[];
  /** All of it for people. */
  readonly text: string;
}

export function reportOf(
  findings: readonly Finding[],
  notes: readonly RecordNote[],
  tables: readonly TableCount[],
): VerifyReport {
  const open = findings.filter(({ repaired }) => !repaired);
  const lines = findings.map(
    ({ kind, shard, message, remedy, repaired }) =>
      `${repaired ? 'mended' : 'found '}  ${kind} on ${shard}: ${message}${remedy && !repaired ? ` ${remedy}` : ''}`,
  );
  lines.push(...notes.map((note) => `note   ${note.kind} on ${note.shard}: ${textOf(note)}`));
  const rows = tables.reduce((sum, table) => sum + table.rows, 0).toLocaleString('en');
  const shards = new Set(tables.map(({ shard }) => shard)).size;
  lines.push(
    `${rows} rows on ${shards} shards looked at; ${open.length === 0 ? 'all is well' : `${open.length} to look after`}.`,
  );
  return { ok: open.length === 0, findings, notes, tables, text: lines.join('\n') };
}

function textOf({ kind, at, keyspace, keys, examples }: RecordNote): string {
  const list = examples.map((key) => `'${key}'`).join(', ');
  const what = kind === 'rowless' ? 'that have a place here and no rows' : `given to ${at} and not written there`;
  return `keys of ${keyspace} ${what}: ${keys} (${list}${keys > examples.length ? ', …' : ''}).`;
}
