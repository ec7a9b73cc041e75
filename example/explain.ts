import type { Database } from './database';
import { wholeNumber } from './input';
import {
  citiesById,
  countriesByName,
  populationByCountry,
  searchCities,
  topCities,
  userWithVisits,
  visitsOfUser,
} from './queries';

type Params = Record<string, string>;

const limit = (params: Params) => wholeNumber('limit', params.limit, { fallback: 20 });
const city = (params: Params) =>
  wholeNumber('id', params.id, { max: Number.MAX_SAFE_INTEGER, fallback: 2988507 /* Paris */ });

type Explainable = (db: Database, params: Params) => { toSQL(): { sql: string; params: unknown[] } };

/** The statements that `GET /explain?query=<name>` can be asked about, with their routes' parameters. */
export const explainable = new Map<string, Explainable>([
  ['top-cities', (db, params) => topCities(db, limit(params))],
  ['search-cities', (db, params) => searchCities(db, params.prefix ?? 'San ', limit(params))],
  ['population-by-country', (db, params) => populationByCountry(db, limit(params))],
  ['city', (db, params) => citiesById(db, [city(params)])],
  ['countries', (db) => countriesByName(db)],
  ['user', (db, params) => userWithVisits(db, params.id ?? 'ada')],
  ['visits', (db, params) => visitsOfUser(db, params.id ?? 'ada', limit(params))],
]);
