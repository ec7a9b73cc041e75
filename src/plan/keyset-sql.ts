import type { Select } from '../sql/ast';
import { jsonOf } from '../sql/json-values';
import type { SqlWriter } from '../sql/template';
import { kindsOf, type ValueKind } from './cursor';
import { type KeysetTerm, putTerm } from './keyset-terms';
import type { BoundCore } from './scope';

/** The name of the hidden column behind the query's own: the values of ORDER BY as a JSON array. */
const POSITION = '__shard_position';

/** Stands for a term in the texts below. */
const TERM = '{term}';
/** Stands for its value in the position. */
const VALUE = '{value}';

export interface KeysetPieces {
  readonly select: Select;
  readonly core: BoundCore;
  readonly terms: readonly KeysetTerm[];
  /** Those of `terms` that ORDER BY does not have. */
  readonly added: readonly KeysetTerm[];
  /** The values of the row before the first, as a JSON array. */
  readonly after: string | undefined;
  readonly limit: number;
}

/** Writes the SELECT with its position, from `after` on. */
export function writeKeyset(writer: SqlWriter, { select, core, terms, added, after, limit }: KeysetPieces): void {
  const { where, columnsEnd, range } = core.core;
  writer.copy({ from: 0, to: columnsEnd }).text(', json_array(');
  for (const [i, term] of terms.entries()) {
    if (i > 0) writer.text(', ');
    expand(writer, term.form === 'column' ? jsonOf(TERM) : WITHOUT_SUBTYPE, () => putTerm(writer, term));
  }
  writer.text(`) as "${POSITION}" `).copy({ from: columnsEnd, to: range.to }, { skip: where ? [where] : [] });
  if (where) writer.text(' (').copy(where).text(')');
  if (after !== undefined) {
    writer.text(where ? ' and ' : ' where ');
    writeCondition(writer, terms, after);
  }
  writer.text(' ').copy({ from: range.to, to: select.limitClause?.from ?? select.range.to });
  for (const [i, term] of added.entries()) {
    putTerm(writer.text(i === 0 && select.orderBy.length === 0 ? ' order by ' : ', '), term);
  }
  writer.text(' limit ').slot({ kind: 'value', value: limit });
}

/** JSON text that a JSON function has made would become a part of the array, and not a text in it. */
const WITHOUT_SUBTYPE = `case typeof(${TERM}) when 'blob' then json_array(hex(${TERM})) when 'text' then (${TERM}) || '' else ${TERM} end`;

const OPENS = { column: '', enclosed: '+(', expression: '(' } as const;

/** `a > ? or a = ? and (b > ? ...)`, and before that `a >= ?`, by which an index on `a` finds the first row. */
function writeCondition(writer: SqlWriter, terms: readonly KeysetTerm[], after: string): void {
  const kinds = kindsOf(after) ?? [];
  const write = (at: number, text: string): void => {
    const isBlob = kinds[at] === 'blob';
    // It has no affinity and no collation of its own, so that those of the term apply.
    const value = () => {
      if (isBlob) writer.text('unhex(');
      writer.slot({ kind: 'value', value: after }).text(isBlob ? ` ->> '$[${at}][0]')` : ` ->> '$[${at}]'`);
    };
    const term = terms[at] as KeysetTerm;
    const put = () => {
      // ORDER BY applies no affinity. A plus takes it away, and keeps the collation; elsewhere it would keep indexes away.
      writer.text(OPENS[term.form]);
      putTerm(writer, term);
      if (term.form !== 'column') writer.text(')');
    };
    expand(writer, text, put, value);
  };
  const first = terms[0] as KeysetTerm;
  const isBounded = kinds[0] !== 'null' && !nullsFollow(first);
  if (isBounded) write(0, `${TERM} ${first.descending ? '<=' : '>='} ${VALUE} and `);
  for (const [at, term] of terms.entries()) {
    const behind = behindOf(term, kinds[at] as ValueKind);
    const isLast = at === terms.length - 1;
    if (isLast) {
      write(at, behind ?? '0');
      continue;
    }
    writer.text('(');
    if (behind !== undefined) write(at, `${behind} or `);
    write(at, kinds[at] === 'null' ? `${TERM} is null and ` : `${TERM} = ${VALUE} and `);
  }
  writer.text(')'.repeat(terms.length - 1));
}

/** What rows fulfil whose value comes behind this one; undefined when none can. */
function behindOf(term: KeysetTerm, kind: ValueKind): string | undefined {
  if (kind === 'null') return term.nulls === 'first' ? `${TERM} is not null` : undefined;
  const compared = `${TERM} ${term.descending ? '<' : '>'} ${VALUE}`;
  return nullsFollow(term) ? `(${compared} or ${TERM} is null)` : compared;
}

const nullsFollow = ({ nulls, notNull }: KeysetTerm): boolean => nulls === 'last' && !notNull;

function expand(writer: SqlWriter, text: string, term: () => void, value = () => {}): void {
  for (const part of text.split(/(\{term\}|\{value\})/)) {
    if (part === TERM) term();
    else if (part === VALUE) value();
    else writer.text(part);
  }
}
