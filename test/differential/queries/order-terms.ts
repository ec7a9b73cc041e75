import { asc, desc, type SQL, sql } from 'drizzle-orm';
import type { Order, OutputOrder } from './recipe';
import { at, type Field, isColumn } from './scope';

/** Orders by outputs, each with its position. */
export function orderOutputs(
  orders: readonly OutputOrder[],
  outputs: ReadonlyMap<string, Field>,
  styles: readonly OutputOrder['style'][] = ['expression', 'name', 'position'],
): { position: number; term: SQL }[] {
  const entries = [...outputs];
  return orders.map((order) => {
    const position = order.output % entries.length;
    const [as, field] = at(entries, position);
    const style = styles.includes(order.style) ? order.style : at(styles, 0);
    if (style === 'position')
      return { position, term: orderTerm({ ...field, node: positionOf(position), constant: false }, order) };
    // A bare column goes by its own name, which two tables may have.
    const named = style === 'name' && !(styles.includes('expression') && isColumn(field.node));
    return {
      position,
      term: orderTerm(named ? { ...field, node: sql`${sql.identifier(as)}`, constant: false } : field, order),
    };
  });
}

export function orderTerm({ node, constant }: Field, order: Pick<Order, 'descending' | 'nulls' | 'collate'>): SQL {
  // A literal number would be the position of an output, and SQLite works some constants out to one while it parses.
  const value = constant ? sql`coalesce(${node}, null)` : sql`${node}`;
  const collated = order.collate ? sql`${value} collate ${sql.raw(order.collate)}` : value;
  const directed = (order.descending ? desc : asc)(collated);
  return order.nulls ? sql`${directed} nulls ${sql.raw(order.nulls)}` : directed;
}

/** All outputs by their positions: rows that are still alike are the same. */
export const byAllOutputs = (outputs: ReadonlyMap<string, Field>): SQL[] =>
  [...outputs.keys()].map((_, i) => positionOf(i));

export const positionOf = (output: number): SQL => sql.raw(`${output + 1}`);
