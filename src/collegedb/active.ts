import type { CollegeDB } from './college';
import { CollegeDBError } from './errors';

/** The only state of this entry: the cluster that `initialize` has made last, in this isolate. */
let current: CollegeDB | undefined;

export const setActive = (college: CollegeDB | undefined): void => {
  current = college;
};

export const activeOrNone = (): CollegeDB | undefined => current;

/** @throws CollegeDBError before `initialize`. */
export function active(): CollegeDB {
  if (current) return current;
  throw new CollegeDBError('There is no configuration yet. Call initialize(config) first.', 'NOT_INITIALIZED');
}
