import type { AnyColumn } from 'drizzle-orm';
import { toCamelCase, toSnakeCase } from 'drizzle-orm/casing';

export type Casing = 'snake_case' | 'camelCase' | undefined;

/** The column's name in the database. */
export function columnName(column: Pick<AnyColumn, 'name' | 'keyAsName'>, casing: Casing): string {
  if (!casing || !column.keyAsName) return column.name;
  return casing === 'snake_case' ? toSnakeCase(column.name) : toCamelCase(column.name);
}
