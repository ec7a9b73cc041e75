import { adoptionOperations } from './adoptions';
import type { Catalog } from './catalog';
import { confirmProgram } from './confirm';
import { journalOperations } from './journal-programs';
import { blockProgram, sequenceProgram } from './numbers';
import { openProgram } from './open';
import type { Program } from './program';
import { referenceOperations } from './reference-writes';
import { mapProgram } from './view';

/** The arguments and the answer of each operation, as a program that either place of the catalog can run. */
export type Operations<T> = {
  readonly [Name in keyof T]: T[Name] extends (...args: infer Args) => Promise<infer Answer>
    ? (...args: Args) => Program<Answer>
    : never;
};

export type OperationName = keyof Catalog;

/** Every operation of the catalog. The arguments are checked when the program is made. */
export const OPERATIONS: Operations<Catalog> = {
  open: openProgram,
  map: () => mapProgram,
  confirm: confirmProgram,
  block: blockProgram,
  sequence: sequenceProgram,
  ...journalOperations,
  ...referenceOperations,
  ...adoptionOperations,
};

const NAMES = Object.keys(OPERATIONS) as OperationName[];

export const isOperation = (name: string): name is OperationName => Object.hasOwn(OPERATIONS, name);

/** A catalog whose operations all go through one function, by their names. */
export function catalogThrough(run: (name: OperationName, args: readonly unknown[]) => Promise<unknown>): Catalog {
  const entries = NAMES.map((name) => [name, (...args: unknown[]) => run(name, args)]);
  return Object.fromEntries(entries) as Catalog;
}

/** The program of an operation. */
export const programOf = (name: OperationName, args: readonly unknown[]): Program<unknown> =>
  (OPERATIONS[name] as (...args: readonly unknown[]) => Program<unknown>)(...args);
