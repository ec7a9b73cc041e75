import type { OrderTerm, Select } from './ast';
import { type Reader, splitCommas } from './reader';
import { isOp, isWord } from './tokens';

/** What may follow a SELECT; of one that is inserted, also ON CONFLICT. */
const endOfSelect = (r: Reader): boolean => r.sees('returning') || r.sees('on', 'conflict') || isOp(r.peek(), ';');

export function parseOrderBy(reader: Reader): OrderTerm[] {
  if (!reader.take('order', 'by')) return [];
  const range = reader.until((r) => r.sees('limit') || endOfSelect(r));
  return splitCommas(reader.tokens, range).map((term): OrderTerm => {
    const { tokens } = reader;
    let to = term.to;
    let nulls: 'first' | 'last' | undefined;
    if (to - term.from > 2 && isWord(tokens[to - 2], 'nulls')) {
      nulls = isWord(tokens[to - 1], 'first') ? 'first' : 'last';
      to -= 2;
    }
    const descending = isWord(tokens[to - 1], 'desc');
    if (descending || isWord(tokens[to - 1], 'asc')) to--;
    const collated = to - term.from > 2 && isWord(tokens[to - 2], 'collate');
    return {
      expr: { from: term.from, to },
      descending,
      nulls,
      collation: collated ? tokens[to - 1]?.value : undefined,
    };
  });
}

export function parseLimit(reader: Reader): Pick<Select, 'limit' | 'offset' | 'limitClause'> {
  const from = reader.at;
  if (!reader.take('limit')) return { limit: undefined, offset: undefined, limitClause: undefined };
  const stop = (r: Reader) => r.sees('offset') || isOp(r.peek(), ',') || endOfSelect(r);
  const first = reader.until(stop);
  if (reader.takeOp(',')) {
    const limit = reader.until(stop);
    return { limit, offset: first, limitClause: { from, to: reader.at } };
  }
  const offset = reader.take('offset') ? reader.until(stop) : undefined;
  return { limit: first, offset, limitClause: { from, to: reader.at } };
}
