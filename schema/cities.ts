import { sql } from 'drizzle-orm';
import { index, integer, real, sqliteTable, text } from 'drizzle-orm/sqlite-core';

/** Places of at least 1,000 people. Sharded by `id`. */
export const cities = sqliteTable(
  'cities',
  {
    /** The GeoNames id, which is the same on every load. */
    id: integer('id').primaryKey(),
    name: text('name').notNull(),
    /** `countries.code`. */
    countryCode: text('country_code').notNull(),
    /** First-order division within the country, as GeoNames codes it. */
    adminCode: text('admin_code').notNull(),
    /** GeoNames feature code: `PPLC` is a capital, `PPL` any populated place. */
    featureCode: text('feature_code').notNull(),
    population: integer('population').notNull(),
    latitude: real('latitude').notNull(),
    longitude: real('longitude').notNull(),
  },
  (table) => [
    // LIKE 'abc%' ignores ASCII case, so SQLite uses an index for it only if the index does as well.
    index('cities_name_idx').on(sql`"name" collate nocase`),
    index('cities_population_idx').on(table.population),
    index('cities_country_idx').on(table.countryCode),
  ],
);
