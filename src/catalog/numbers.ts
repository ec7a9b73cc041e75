import type { Block } from './catalog';
import { checkBlockRequest } from './check-request';
import type { Program, Row } from './program';

// Counters and sequences share a table: with a prefix for each, no name of one is a name of the other.
const COUNTER = 'block:';
const SEQUENCE = 'id:';

const GIVE = `
insert into _shard_catalog_counters (name, next) values (?1, cast(?2 as integer) + cast(?3 as integer))
on conflict do update set next = max(next, cast(?2 as integer)) + cast(?3 as integer) returning next`;

const GIVE_IF_BEGUN = `
update _shard_catalog_counters set next = next + cast(?2 as integer) where name = ?1 returning next`;

/** `Catalog.block`. */
export function blockProgram(counter: string, size: number, atLeast = 0): Program<Block> {
  const { statements, read } = giveProgram(COUNTER + counter, size, atLeast);
  return {
    statements,
    read: (results) => {
      const block = read(results);
      if (!block) throw new Error(`The catalog gave no numbers for ${counter}.`);
      return block;
    },
  };
}

/** `Catalog.sequence`. */
export const sequenceProgram = (name: string, size: number, atLeast?: number): Program<Block | undefined> =>
  giveProgram(SEQUENCE + name, size, atLeast);

/** Without `atLeast` nothing is given, nor written, where the row is missing. */
function giveProgram(name: string, size: number, atLeast?: number): Program<Block | undefined> {
  checkBlockRequest(size, atLeast);
  const read = ([rows]: readonly (readonly Row[])[]): Block | undefined => {
    const row = rows?.[0];
    if (!row) return undefined;
    const next = Number(row.next);
    return { from: next - size, to: next - 1 };
  };
  if (atLeast === undefined) {
    const statements = [{ sql: GIVE_IF_BEGUN, params: [name, String(size)] }];
    return { statements, read, whenEmpty: { answer: undefined } };
  }
  // The lowest number that may be given. 2^53, after the last safe integer, is exact too, and the table's check refuses it.
  const first = Math.max(atLeast, 0) + 1;
  return { statements: [{ sql: GIVE, params: [name, String(first), String(size)] }], read };
}
