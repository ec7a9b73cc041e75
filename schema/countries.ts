import { integer, real, sqliteTable, text } from 'drizzle-orm/sqlite-core';

/** Countries of the world. Small and rarely written, so every shard has a whole copy and joins stay local. */
export const countries = sqliteTable('countries', {
  /** ISO 3166-1 alpha-2, such as `FR`. */
  code: text('code').primaryKey(),
  name: text('name').notNull(),
  officialName: text('official_name').notNull(),
  region: text('region').notNull(),
  subregion: text('subregion').notNull(),
  /** Null for the few without one, such as Antarctica. */
  capital: text('capital'),
  /** The flag as an emoji. */
  flag: text('flag').notNull(),
  /** Square kilometres. */
  area: real('area').notNull(),
  landlocked: integer('landlocked', { mode: 'boolean' }).notNull(),
});
