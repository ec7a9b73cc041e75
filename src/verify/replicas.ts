import { xxHash32 } from 'js-xxhash';
import type { CarriedTable } from '../moves/carry';
import type { MoveIo } from '../moves/io';
import { FIRST_ROWS, isLastPage, nextLimit, type PagedRow, pageStatement } from '../moves/rows';

const encoder = new TextEncoder();

/** A number for the rows of a table, whatever their order; and how many they are. */
export interface Checksum {
  readonly rows: number;
  readonly sum: string;
}

/** Reads all rows of a table. Two tables with one checksum have the same rows, but for one chance in 2^52. */
export async function checksumOf(io: Pick<MoveIo, 'run'>, shard: string, table: CarriedTable): Promise<Checksum> {
  let [rows, low, high] = [0, 0, 0];
  let after: string | undefined;
  for (let limit = FIRST_ROWS; ; ) {
    const [found = []] = await io.run(shard, [pageStatement(table, undefined, after, limit)]);
    const page = found as unknown as PagedRow[];
    for (const { row } of page) {
      const bytes = encoder.encode(row);
      // Sums, so that equal rows do not cancel out.
      low = (low + xxHash32(bytes, 1)) % 2 ** 26;
      high = (high + xxHash32(bytes, 2)) % 2 ** 26;
    }
    rows += page.length;
    if (page.length === 0 || isLastPage(page, limit)) {
      return { rows, sum: (high * 2 ** 26 + low).toString(16).padStart(13, '0') };
    }
    after = page.at(-1)?.at;
    limit = nextLimit(page, limit);
  }
}
