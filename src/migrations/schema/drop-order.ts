import { foldName } from '../../sql/tokens';

interface Referring {
  readonly name: string;
  readonly foreignKeys: readonly { readonly table: string }[];
}

/**
 * Tables in the order in which they can be dropped: those that refer to others come first. Otherwise ON DELETE would act, and fire
 * the triggers of what is about to go; and SQLite refuses it where a table that it acts on refers to one that has gone already.
 */
export function inDropOrder<T extends Referring>(tables: readonly T[]): T[] {
  const left = [...tables];
  const order: T[] = [];
  const refersTo = ({ foreignKeys }: T, name: string) =>
    foreignKeys.some(({ table }) => foldName(table) === foldName(name));
  while (left.length > 0) {
    const isFree = ({ name }: T) => left.every((one) => one.name === name || !refersTo(one, name));
    const isCut = (table: T) => order.some(({ name }) => refersTo(table, name));
    // In a circle there is no right order; what it was cut at must not be acted on.
    const at = [left.findIndex(isFree), left.findIndex(isCut)].find((found) => found >= 0) ?? 0;
    order.push(...left.splice(at, 1));
  }
  return order;
}
