import { asc, count, desc, eq, getTableColumns, inArray, sql } from 'drizzle-orm';
import { cities, countries, users, visits } from '../schema';
import type { Database } from './database';
import { likePrefix } from './input';

/** Every city by population, largest first; the id settles ties, so that the same rows come back each time. */
export const topCities = (db: Database, limit: number) =>
  db.select().from(cities).orderBy(desc(cities.population), asc(cities.id)).limit(limit);

export const searchCities = (db: Database, prefix: string, limit: number) =>
  db
    .select()
    .from(cities)
    .where(sql`${cities.name} like ${likePrefix(prefix)} escape '\\'`)
    .orderBy(desc(cities.population), asc(cities.id))
    .limit(limit);

const totalPopulation = sql<number>`sum(${cities.population})`.mapWith(Number);

/** City dwellers of each country: grouped over all shards, joined with the countries that every shard has. */
export const populationByCountry = (db: Database, limit: number) =>
  db
    .select({
      code: countries.code,
      name: countries.name,
      flag: countries.flag,
      region: countries.region,
      cities: count(),
      population: totalPopulation,
    })
    .from(cities)
    .innerJoin(countries, eq(cities.countryCode, countries.code))
    .groupBy(countries.code)
    .orderBy(desc(totalPopulation), asc(countries.code))
    .limit(limit);

/** Cities with their countries. The ids say which shards to ask. */
export const citiesById = (db: Database, ids: number[]) =>
  db
    .select({ ...getTableColumns(cities), country: { name: countries.name, flag: countries.flag } })
    .from(cities)
    .innerJoin(countries, eq(cities.countryCode, countries.code))
    .where(inArray(cities.id, ids));

/** A user with the latest visits: both live on one shard, so Drizzle's single nested statement runs there. */
export const userWithVisits = (db: Database, id: string) =>
  db.query.users.findFirst({
    where: eq(users.id, id),
    with: { visits: { orderBy: [desc(visits.visitedAt), asc(visits.id)], limit: 5 } },
  });

/** The visits are on the shard of their user; the cities that they name are asked of the shards that have them. */
export const visitsOfUser = (db: Database, userId: string, limit: number) =>
  db.query.visits.findMany({
    where: eq(visits.userId, userId),
    orderBy: [desc(visits.visitedAt), asc(visits.id)],
    limit,
    with: { city: { with: { country: { columns: { name: true, flag: true } } } } },
  });

export const countriesByName = (db: Database) => db.select().from(countries).orderBy(asc(countries.name));
