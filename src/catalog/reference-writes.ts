import type { Operations } from './operations';
import { type Row, type Statement, statement } from './program';
import { NOW_MS } from './tables';

/** `prepared`: pins are being placed, nothing is changed yet. `committed`: it will be applied on every shard. `aborted`: on none. */
export type ReferenceWriteState = 'prepared' | 'committed' | 'aborted';

/** A write to tables that are whole on every shard. There is one at a time, so that all shards apply them in one order. */
export interface ReferenceWrite {
  /** Later ones have higher ids, and an id never comes back. */
  readonly id: number;
  readonly state: ReferenceWriteState;
  /** What runs on which shard: see `encodeParts`. */
  readonly parts: string;
  /** Milliseconds since its writer was last heard of. */
  readonly idleMs: number;
}

/** A write was prepared, unless another one stands before it. */
export type PreparedWrite = Pick<ReferenceWrite, 'id' | 'idleMs'> & { readonly isOwn: boolean };

/**
 * What a write to all shards leaves behind before its first change, so that anybody can finish it when its writer dies: the
 * redo log of `writeReference`. Each operation may be repeated.
 */
export interface ReferenceJournal {
  /** @param request Names this write over all repetitions of the call. */
  prepareWrite(request: string, parts: string): Promise<PreparedWrite>;
  /** Decides a write that is prepared. The state that it has then; undefined when it has ended. */
  decideWrite(id: number, state: 'committed' | 'aborted'): Promise<ReferenceWriteState | undefined>;
  /** Forgets a write that has been applied on every shard, or is barred from each. */
  endWrite(id: number): Promise<void>;
  /** The one that has not ended. */
  openWrite(): Promise<ReferenceWrite | undefined>;
}

/** A value of D1 or of a Durable Object holds 2 MB, and a character up to 3 bytes. */
const CHUNK = 600_000;

function chunksOf(text: string): string[] {
  const chunks: string[] = [];
  for (let from = 0; from < text.length; ) {
    // Not between the halves of a surrogate pair, which UTF-8 has no bytes for.
    const isPair = (text.codePointAt(from + CHUNK - 1) ?? 0) > 0xffff;
    const to = from + CHUNK + (isPair ? 1 : 0);
    chunks.push(text.slice(from, to));
    from = to;
  }
  return chunks;
}

const IDLE = `${NOW_MS} - touched as idle`;
const ONE = 'where id = cast(?1 as integer)';
const byId = (sql: string, id: number): Statement => statement(sql, String(id));

export const referenceOperations: Operations<ReferenceJournal> = {
  prepareWrite: (request, parts) => ({
    statements: [
      statement(
        `insert into _shard_catalog_writes (request, state, touched) select ?1, 'prepared', ${NOW_MS}
          where not exists (select 1 from _shard_catalog_writes)`,
        request,
      ),
      ...chunksOf(parts).map((chunk, i) =>
        statement(
          `insert into _shard_catalog_write_parts (write, part, text)
            select id, cast(?2 as integer), ?3 from _shard_catalog_writes where request = ?1 on conflict do nothing`,
          request,
          String(i),
          chunk,
        ),
      ),
      statement(`select id, request = ?1 as own, ${IDLE} from _shard_catalog_writes`, request),
    ],
    read: (results) => {
      const [{ id, own, idle }] = results.at(-1) as readonly [Row];
      return { id: Number(id), isOwn: own === 1, idleMs: Number(idle) };
    },
  }),
  decideWrite: (id, state) => ({
    statements: [
      statement(
        `update _shard_catalog_writes set state = ?2, touched = ${NOW_MS} ${ONE} and state = 'prepared'`,
        String(id),
        state,
      ),
      byId(`select state from _shard_catalog_writes ${ONE}`, id),
    ],
    read: ([, rows = []]) => rows[0]?.state as ReferenceWriteState | undefined,
  }),
  endWrite: (id) => ({
    statements: [
      byId('delete from _shard_catalog_write_parts where write = cast(?1 as integer)', id),
      byId(`delete from _shard_catalog_writes ${ONE}`, id),
    ],
    read: () => undefined,
  }),
  openWrite: () => ({
    statements: [
      statement(`select id, state, ${IDLE} from _shard_catalog_writes`),
      statement('select text from _shard_catalog_write_parts order by part'),
    ],
    read: ([rows = [], chunks = []]) => {
      const [row] = rows;
      if (!row) return undefined;
      const parts = chunks.map(({ text }) => String(text)).join('');
      return { id: Number(row.id), state: row.state as ReferenceWriteState, parts, idleMs: Number(row.idle) };
    },
    whenEmpty: { answer: undefined },
  }),
};
